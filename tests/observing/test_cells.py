"""Numbers of several processes, where each can read those of all."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

from sidecar.adapters.metrics.cells import NOWHERE, Cells, Place, SharedCells, cells_in_memory

PLACE = Place("things_total", ("a",))

COUNTING = """
import sys
from pathlib import Path
from sidecar.adapters.metrics.cells import Place, SharedCells
cells = SharedCells(Path(sys.argv[1]))
index = cells.at(Place("things_total", ("a",)), 1)
for line in sys.stdin:
    cells.numbers[index] += int(line)
    print("counted", flush=True)
"""


class Counting:
    """Another process that counts in a folder."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", COUNTING, str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def count(self, number: int) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(number, file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == "counted\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


def found(cells: Cells) -> list[tuple[int, bool]]:
    return sorted((row.values[0], row.is_live) for row in cells.rows() if row.place == PLACE)


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("*.cells"))


def test_a_place_has_the_same_cells_again() -> None:
    cells = cells_in_memory()
    first = cells.at(PLACE, 3)

    assert cells.at(PLACE, 3) == first
    assert cells.at(Place("things_total", ("b",)), 3) == first + 3


def test_what_finds_no_room_is_counted_nowhere_and_harms_nobody() -> None:
    cells = cells_in_memory()
    cells.at(PLACE, 1)
    for number in range(20_000):
        cells.numbers[cells.at(Place("others_total", (str(number),)), 1)] += 1

    assert cells.at(Place("others_total", ("one more",)), 1) == NOWHERE
    assert found(cells) == [(0, True)]


def test_what_another_process_counts_is_seen_at_once_and_stays_when_it_is_killed(
    tmp_path: Path,
) -> None:
    with closing(SharedCells(tmp_path)) as mine:
        mine.numbers[mine.at(PLACE, 1)] += 1
        other = Counting(tmp_path)
        other.count(40)
        seen = found(mine)
        other.kill()

        assert seen == [(1, True), (40, True)]
        assert found(mine) == [(1, True), (40, False)]


def test_who_comes_next_goes_on_where_a_dead_one_has_counted(tmp_path: Path) -> None:
    with closing(SharedCells(tmp_path)) as mine:
        for _ in range(3):
            other = Counting(tmp_path)
            other.count(10)
            other.kill()

        assert found(mine) == [(30, False)]
    assert files(tmp_path) == ["worker-1.cells", "worker-2.cells"]


def test_those_of_another_kind_have_files_of_their_own(tmp_path: Path) -> None:
    SharedCells(tmp_path, "parent").close()
    SharedCells(tmp_path).close()

    assert files(tmp_path) == ["parent-1.cells", "worker-1.cells"]


def test_a_line_that_was_not_brought_to_its_end_spoils_no_other(tmp_path: Path) -> None:
    first = SharedCells(tmp_path)
    first.numbers[first.at(PLACE, 1)] += 7
    first.close()
    with (tmp_path / "worker-1.names").open("ab") as names:
        names.write(b'[65,1,"oth')
    with closing(SharedCells(tmp_path)) as second, closing(SharedCells(tmp_path, "it")) as reader:
        second.numbers[second.at(Place("others_total", ()), 1)] += 1

        assert {(row.place.name, row.values[0]) for row in reader.rows()} == {
            ("things_total", 7),
            ("others_total", 1),
        }
