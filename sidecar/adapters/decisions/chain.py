"""How does a line vouch for the one before? It carries its hash, and its own number.

The hash is SHA-256 of the line without its end, chain and all. A chain goes through all files of
one process; the first line of a process names the file of an earlier one that has ended, and
carries the hash of the last line there. Whoever can write all files can write another chain: what
keeps them honest is the last hash, noted elsewhere.
"""

import fcntl
import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from sidecar.adapters.decisions.backwards import lines_backwards

NONE: Final = "0" * 64
"""What the first line of all carries."""
_LONGEST_LINE: Final = 1 << 22


def hash_of(line: bytes) -> str:
    """The hash of a line without its end."""
    return hashlib.sha256(line).hexdigest()


@dataclass(frozen=True, slots=True)
class Link:
    """Where a chain has come to.

    Attributes:
        seq: how many lines this process has written.
        last: the hash of the line before.
        after: the file of another process that the first line goes on from, empty where there is
            none, and behind the first line.
    """

    seq: int = 0
    last: str = NONE
    after: str = ""

    def linked(self, lines: bytes) -> "tuple[bytes, Link]":
        """Whole lines with their links, and where the chain is behind them."""
        written, link = [], self
        for line in lines.splitlines():
            told: dict[str, object] = {"seq": link.seq, "prev": link.last}
            if link.after:
                told["after"] = link.after
            # Each line is an object that is not empty.
            whole = line[:-1] + b',"chain":' + orjson.dumps(told) + b"}"
            written.append(whole + b"\n")
            link = Link(link.seq + 1, hash_of(whole))
        return b"".join(written), link


def link_behind(files: Iterable[Path]) -> Link:
    """Where a new process goes on: behind the last line of the newest file that nobody writes.

    Args:
        files: those of all processes, the newest first.
    """
    for file in files:
        with suppress(OSError), file.open("rb") as opened:
            # Whoever writes it holds it.
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            line = next(lines_backwards(file, _LONGEST_LINE), None)
            if line is not None:
                return Link(last=hash_of(line), after=file.name)
    return Link()
