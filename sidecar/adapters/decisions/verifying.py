"""Are the files of decisions as they were written? Each line must fit the one before."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from sidecar.adapters.decisions.chain import NONE, hash_of
from sidecar.adapters.decisions.files import decision_files, series_of


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where a chain does not hold.

    Attributes:
        line: counted from 1; 0 for the file as a whole.
    """

    file: Path
    line: int
    why: str


@dataclass(slots=True)
class Verified:
    """What was found of the files of one process.

    Attributes:
        lines: that fit.
        last: the hash of the last of them.
        torn: the file whose last line was not finished: its process was killed while it wrote.
        notes: what is no fault and worth knowing.
    """

    name: str
    files: list[Path]
    lines: int = 0
    last: str = ""
    broken: Break | None = None
    torn: Path | None = None
    is_chained: bool = True
    notes: list[str] = field(default_factory=list)


class _Broken(Exception):
    """The chain does not hold."""

    def __init__(self, file: Path, line: int, why: str) -> None:
        super().__init__(why)
        self.found = Break(file, line, why)


def verify(path: Path) -> list[Verified]:
    """All files of a folder, or one file alone, process by process.

    Raises:
        OSError: something cannot be read.
    """
    files = [path] if path.is_file() else decision_files(path)
    series = defaultdict(list)
    for file in files:
        series[series_of(file)].append(file)
    return [_verified(name, each) for name, each in series.items()]


def _verified(name: str, files: list[Path]) -> Verified:
    found = Verified(name, files)
    try:
        _follow(found)
    except _Broken as broken:
        found.broken = broken.found
    return found


def _follow(found: Verified) -> None:
    seq = 0
    for file in found.files:
        is_last_file = file == found.files[-1]
        for number, line, is_whole in _lines(file):
            if not is_whole:
                if not is_last_file:
                    raise _Broken(file, number, "this line has no end, and another file follows")
                found.torn = file
                return
            link = _link_of(file, number, line)
            if found.lines == 0:
                found.is_chained = link is not None
                _begin(found, file, link)
                seq = 0 if link is None else _seq(file, number, link)
            if not found.is_chained:
                if link is not None:
                    raise _Broken(file, number, "this line is chained, and those before are not")
            elif link is None:
                raise _Broken(file, number, "this line is not chained: it was put in here")
            elif found.lines:
                _compare(found, file, number, link, seq)
            found.last = hash_of(line)
            found.lines += 1
            seq += 1


def _begin(found: Verified, file: Path, link: dict[str, Any] | None) -> None:
    """Look at what the first line goes on from."""
    if link is None:
        return
    if (seq := _seq(file, 1, link)) > 0:
        if _is_first(file):
            raise _Broken(file, 1, f"the first {seq:,} of its lines were left out")
        found.notes.append(f"earlier lines ({seq:,}) are not here any more")
        return
    after = link.get("after")
    if after is None:
        if link.get("prev") != NONE:
            raise _Broken(file, 1, "this is the first line, and it follows another one")
        return
    before = file.parent / Path(str(after)).name
    if not before.exists():
        found.notes.append(f"{after}, which it follows, is not here any more")
        return
    last = None
    for _, line, is_whole in _lines(before):
        if is_whole:
            last = line
    if last is None or hash_of(last) != link.get("prev"):
        raise _Broken(before, 0, f"its last line is not the one that {file.name} follows")


def _is_first(file: Path) -> bool:
    """Whether its process has written no file before it, as its name says."""
    return file.stem.rsplit("-", 2)[1:2] == ["0001"]


def _compare(found: Verified, file: Path, number: int, link: dict[str, Any], seq: int) -> None:
    told = _seq(file, number, link)
    if told > seq:
        raise _Broken(file, number, f"{told - seq} lines are missing in front of this one")
    if told < seq:
        raise _Broken(file, number, "this line was here before, or stands in another's place")
    if link.get("prev") != found.last:
        raise _Broken(file, number, "the line before this one is not as it was written")


def _link_of(file: Path, number: int, line: bytes) -> dict[str, Any] | None:
    try:
        told = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise _Broken(file, number, "this line is not one whole JSON value") from None
    link = told.get("chain") if isinstance(told, dict) else None
    return link if isinstance(link, dict) else None


def _seq(file: Path, number: int, link: dict[str, Any]) -> int:
    seq = link.get("seq")
    if not isinstance(seq, int) or seq < 0:
        raise _Broken(file, number, "this line has no number")
    return seq


def _lines(file: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Each line without its end, and whether it has one."""
    with file.open("rb") as opened:
        for number, line in enumerate(opened, 1):
            yield number, line.removesuffix(b"\n"), line.endswith(b"\n")
