"""Files of decisions: whole lines, bounded in size and number, found again from their ends."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from sidecar.adapters.clock import SystemClock
from sidecar.adapters.decisions.files import Series, decision_files
from sidecar.adapters.decisions.finding import Wanted, find, latest
from sidecar.adapters.decisions.sample import is_sampled
from sidecar.domain.request import Subject
from tests.processes import ROOT


def line(number: int, user: str = "ann", effect: str = "deny", filling: str = "") -> bytes:
    """What stands of a decision in its line, as far as finding it reads that."""
    at = datetime.fromtimestamp(1_780_000_000 + number, UTC)
    decision = {
        "decision_id": f"dec_{number}",
        "at": at,
        "effect": effect,
        "request": {"app_id": "acme", "user_id": user, "attributes": {"said": filling}},
    }
    return orjson.dumps(decision, option=orjson.OPT_APPEND_NEWLINE)


def series(folder: Path, *, file_bytes: int = 1_000, files: int = 3) -> Series:
    return Series(folder, SystemClock(), file_bytes=file_bytes, files=files)


def ids_in(folder: Path) -> list[str]:
    lines = [each for file in decision_files(folder) for each in file.read_bytes().splitlines()]
    return [orjson.loads(each)["decision_id"] for each in lines]


def test_a_full_file_is_followed_by_another_and_the_oldest_go(tmp_path: Path) -> None:
    writing = series(tmp_path / "log")
    for number in range(100):
        writing.append(line(number))
    writing.close()

    files = decision_files(tmp_path / "log")
    assert len(files) == 3
    assert all(1_000 <= file.stat().st_size < 1_200 for file in files[:-1])
    ids = ids_in(tmp_path / "log")
    assert ids == [f"dec_{number}" for number in range(100 - len(ids), 100)]


def test_a_file_that_another_process_writes_is_not_cleared_up(tmp_path: Path) -> None:
    quiet, busy = series(tmp_path, files=2), series(tmp_path, files=2)
    quiet.append(line(0, "quiet"))
    for number in range(1, 100):
        busy.append(line(number))
    quiet.append(line(100, "quiet"))
    busy.close()
    quiet.close()

    found = latest(tmp_path, Wanted(user_id="quiet"), 10)
    assert [decision["decision_id"] for decision in found] == ["dec_100", "dec_0"]
    assert len(decision_files(tmp_path)) == 3


def test_a_file_that_somebody_takes_away_is_begun_anew(tmp_path: Path) -> None:
    writing = series(tmp_path)
    writing.append(line(1))
    for file in decision_files(tmp_path):
        file.unlink()
    writing.append(line(2))
    writing.close()

    assert ids_in(tmp_path) == ["dec_2"]


def test_lines_that_the_disk_has_no_room_for_leave_nothing_behind(tmp_path: Path) -> None:
    program = f"""
import resource
from pathlib import Path
from tests.unit.test_decision_files import line, series
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
writing = series(Path({str(tmp_path)!r}), file_bytes=1_000_000, files=50)
for start in range(0, 100, 10):
    lines = b"".join(map(line, range(start, start + 10)))
    try:
        writing.append(lines)
    except OSError:
        writing.append(lines)
writing.close()
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)

    assert len(decision_files(tmp_path)) > 1
    assert ids_in(tmp_path) == [f"dec_{number}" for number in range(100)]


def test_a_disk_that_takes_nothing_costs_no_older_decision(tmp_path: Path) -> None:
    before = series(tmp_path)
    for number in range(20):
        before.append(line(number))
    before.close()
    kept = ids_in(tmp_path)
    program = f"""
import resource
from contextlib import suppress
from pathlib import Path
from tests.unit.test_decision_files import line, series
resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))
writing = series(Path({str(tmp_path)!r}))
for number in range(20, 30):
    with suppress(OSError):
        writing.append(line(number))
        raise SystemExit("it was written")
writing.close()
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)

    assert ids_in(tmp_path) == kept
    assert all(file.stat().st_size for file in decision_files(tmp_path))


def test_what_is_no_file_of_decisions_is_neither_waited_for_nor_shown(tmp_path: Path) -> None:
    writing = series(tmp_path)
    writing.append(line(1))
    writing.close()
    os.mkfifo(tmp_path / "decisions-z.ndjson")
    (tmp_path / "decisions-y.ndjson").write_bytes(
        b'{"decision_id":"dec_2"}\n{"decision_id":"dec_3","at":"","effect":"","request":[]}\n'
    )

    assert [it["decision_id"] for it in latest(tmp_path, Wanted(), 10)] == ["dec_1"]
    assert find(tmp_path, "dec_1") is not None


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "decisions-1-1-a.ndjson"
    file.write_bytes(line(1) + line(2) + line(3)[:-20])

    assert [each["decision_id"] for each in latest(tmp_path, Wanted(), 10)] == ["dec_2", "dec_1"]
    assert find(tmp_path, "dec_3") is None
    assert find(tmp_path, "dec_2") is not None


@pytest.mark.parametrize("number", [0, 1, 2_500, 4_998, 4_999])
def test_a_decision_is_found_wherever_in_the_file_it_stands(number: int, tmp_path: Path) -> None:
    lines = b"".join(line(each, filling="x" * (each % 997)) for each in range(5_000))
    assert len(lines) > 3 << 20
    (tmp_path / "decisions-1-1-a.ndjson").write_bytes(lines)

    found = find(tmp_path, f"dec_{number}")

    assert found is not None
    assert found == orjson.loads(line(number, filling="x" * (number % 997)))
    assert find(tmp_path, "dec_5000") is None


def test_what_looks_like_a_line_inside_of_a_decision_is_none(tmp_path: Path) -> None:
    forged = {"decision_id": "dec_9", "attributes": {"decision_id": "dec_8", "effect": "allow"}}
    said = "\n" + '{"decision_id":"dec_7",'
    (tmp_path / "decisions-1-1-a.ndjson").write_bytes(
        orjson.dumps(forged) + b"\n" + line(1, filling=said)
    )

    assert find(tmp_path, "dec_8") is None
    assert find(tmp_path, "dec_7") is None
    assert find(tmp_path, "dec_9") is not None


def test_the_latest_are_those_of_all_files_that_match(tmp_path: Path) -> None:
    for name, start in (("decisions-1-1-a", 0), ("decisions-2-1-b", 1)):
        lines = [
            line(number, user=("ann", "bob")[number % 3 == 0], effect=("deny", "warn")[number % 2])
            for number in range(start, 40, 2)
        ]
        (tmp_path / f"{name}.ndjson").write_bytes(b"".join(lines))

    bobs = latest(tmp_path, Wanted("acme", "bob", "deny"), 3)
    nobodys = latest(tmp_path, Wanted("acme", "carl", ""), 3)

    assert [decision["decision_id"] for decision in bobs] == ["dec_36", "dec_30", "dec_24"]
    assert nobodys == []


def test_a_folder_that_is_not_there_has_no_decisions(tmp_path: Path) -> None:
    assert find(tmp_path / "none", "dec_1") is None
    assert latest(tmp_path / "none", Wanted(), 10) == []


def test_a_sample_is_of_whole_users_and_of_its_size() -> None:
    subjects = [Subject("acme", f"user-{number}") for number in range(10_000)]

    tenth = [subject for subject in subjects if is_sampled(subject, 0.1)]

    assert 900 < len(tenth) < 1_100
    assert all(is_sampled(subject, 0.2) for subject in tenth)
    assert all(is_sampled(subject, 1) for subject in subjects)
    assert not any(is_sampled(subject, 0) for subject in subjects)


def test_the_files_are_not_for_everybody(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        writing = series(tmp_path)
        writing.append(line(1))
        writing.close()
    finally:
        os.umask(before)

    assert [file.stat().st_mode & 0o777 for file in decision_files(tmp_path)] == [0o640]
