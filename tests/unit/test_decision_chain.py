"""A chained log: whole files are whole, and every way to change one is found at its place."""

import re
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from sidecar.adapters.clock import SystemClock
from sidecar.adapters.decisions.files import Series, decision_files
from sidecar.adapters.decisions.finding import find
from sidecar.adapters.decisions.verifying import Verified, verify
from tests.commands import sidecar
from tests.unit.test_decision_files import line


def series(folder: Path, *, chain: bool = True, files: int = 100) -> Series:
    return Series(folder, SystemClock(), file_bytes=2_000, files=files, chain=chain)


def write(folder: Path, count: int = 60, *, chain: bool = True, files: int = 100) -> None:
    """A process that writes so many decisions, a few at a time, and ends."""
    writing = series(folder, chain=chain, files=files)
    for start in range(0, count, 4):
        writing.append(b"".join(map(line, range(start, min(start + 4, count)))))
    writing.close()


def only(found: list[Verified]) -> Verified:
    (one,) = found
    return one


def test_what_was_written_is_whole_across_files_and_restarts(tmp_path: Path) -> None:
    for _ in range(3):
        write(tmp_path)

    found = verify(tmp_path)

    assert len(decision_files(tmp_path)) > 6
    assert [(each.lines, each.broken, each.torn) for each in found] == [(60, None, None)] * 3
    assert all(each.is_chained and not each.notes for each in found)
    first = orjson.loads(decision_files(tmp_path)[0].read_bytes().splitlines()[0])
    assert first["chain"] == {"seq": 0, "prev": "0" * 64}
    assert find(tmp_path, "dec_17") is not None


def test_two_processes_at_a_time_have_chains_of_their_own(tmp_path: Path) -> None:
    one, other = series(tmp_path), series(tmp_path)
    for number in range(50):
        one.append(line(number))
        other.append(line(number + 1_000))
    one.close()
    other.close()

    assert [each.lines for each in verify(tmp_path)] == [50, 50]
    assert not any(each.broken for each in verify(tmp_path))


def test_files_that_went_because_they_were_old_are_no_break(tmp_path: Path) -> None:
    write(tmp_path, 200, files=3)
    write(tmp_path, 200, files=3)

    (found,) = verify(tmp_path)

    assert found.broken is None
    assert len(found.notes) == 1
    assert re.fullmatch(r"earlier lines \([\d,]+\) are not here any more", found.notes[0])


Change = Callable[[list[bytes]], list[bytes]]


@pytest.mark.parametrize(
    ("change", "place", "why"),
    [
        (
            lambda lines: [*lines[:3], lines[3].replace(b'"ann"', b'"eve"'), *lines[4:]],
            5, "the line before this one is not as it was written",
        ),
        (lambda lines: [*lines[:3], *lines[4:]], 4, "1 lines are missing in front of this one"),
        (lambda lines: [*lines[:3], *lines[5:]], 4, "2 lines are missing in front of this one"),
        (
            lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
            4, "1 lines are missing in front of this one",
        ),
        (
            lambda lines: [*lines[:3], lines[2], *lines[3:]],
            4, "this line was here before, or stands in another's place",
        ),
        (
            lambda lines: [*lines[:3], line(7).rstrip(b"\n"), *lines[3:]],
            4, "this line is not chained: it was put in here",
        ),
        (
            lambda lines: [*lines[:3], lines[3][:-20], *lines[4:]],
            4, "this line is not one whole JSON value",
        ),
        (lambda lines: lines[2:], 1, "the first 2 of its lines were left out"),
        (
            lambda lines: lines[:-1],
            1, "1 lines are missing in front of this one",
        ),
    ],
    ids=["changed", "left out", "two", "swapped", "twice", "put in", "cut", "first", "last"],
)  # fmt: skip
def test_a_change_is_found_at_its_line(
    change: Change, place: int, why: str, tmp_path: Path
) -> None:
    write(tmp_path)
    first, second, *_ = decision_files(tmp_path)
    lines = first.read_bytes().splitlines()
    first.write_bytes(b"\n".join([*change(lines), b""]))

    broken = only(verify(tmp_path)).broken

    assert broken is not None
    assert (broken.file, broken.line, broken.why) == (
        second if "in front" in why and place == 1 else first,
        place,
        why,
    )


def test_a_file_that_is_taken_out_of_the_middle_is_missed(tmp_path: Path) -> None:
    write(tmp_path)
    _, second, third, *_ = decision_files(tmp_path)
    second.unlink()

    broken = only(verify(tmp_path)).broken

    assert broken is not None
    assert (broken.file, broken.line) == (third, 1)
    assert broken.why.endswith("lines are missing in front of this one")


def test_last_lines_that_are_taken_away_are_missed_by_the_process_that_came_after(
    tmp_path: Path,
) -> None:
    write(tmp_path)
    last = decision_files(tmp_path)[-1]
    write(tmp_path)
    last.write_bytes(b"".join(last.read_bytes().splitlines(keepends=True)[:-1]))

    first, second = verify(tmp_path)

    assert first.broken is None
    assert second.broken is not None
    assert (second.broken.file, second.broken.line) == (last, 0)


def test_a_torn_last_line_is_told_apart_from_a_change(tmp_path: Path) -> None:
    writing = series(tmp_path)
    for number in range(5):
        writing.append(line(number))
    (file,) = decision_files(tmp_path)
    # It is killed in the middle of a line.
    file.write_bytes(file.read_bytes()[:-30])
    write(tmp_path)

    killed, next_ = verify(tmp_path)

    assert (killed.lines, killed.broken, killed.torn) == (4, None, file)
    # Whoever comes after a process that still holds its file does not go on from there.
    assert (next_.lines, next_.broken, next_.torn) == (60, None, None)


def test_lines_without_a_chain_are_not_said_to_be_whole(tmp_path: Path) -> None:
    write(tmp_path, chain=False)
    write(tmp_path)

    bare, chained = verify(tmp_path)

    assert (bare.is_chained, bare.broken) == (False, None)
    assert (chained.is_chained, chained.broken, chained.notes) == (True, None, [])


# -- the command ----------------------------------------------------------------------------


def test_the_command_names_the_file_and_line_of_the_first_break(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    write(folder)
    whole, said, _ = sidecar(tmp_path, "decisions", "verify", "log")
    file = decision_files(folder)[1]
    number = next(
        number for number, each in enumerate(file.read_bytes().splitlines(), 1) if b"_20" in each
    )
    file.write_bytes(file.read_bytes().replace(b'"dec_20"', b'"dec_99"'))
    broken, found, _ = sidecar(tmp_path, "decisions", "verify", "log")

    assert (whole, broken) == (0, 3)
    assert "60 lines, whole; last sha256:" in said
    place = file.relative_to(tmp_path)
    assert f"{place}:{number + 1}: the line before this one is not as it was written" in found


def test_the_command_lists_and_shows(tmp_path: Path) -> None:
    write(tmp_path / "log")
    _, listed, _ = sidecar(tmp_path, "decisions", "list", "log", "--limit", "3")
    _, shown, _ = sidecar(tmp_path, "decisions", "show", "log", "dec_59")
    unknown, _, _ = sidecar(tmp_path, "decisions", "show", "log", "dec_60")

    assert [each.split()[3] for each in listed.splitlines()] == ["dec_59", "dec_58", "dec_57"]
    assert orjson.loads(shown)["decision_id"] == "dec_59"
    assert unknown == 3
