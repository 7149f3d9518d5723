"""Which lines stand at the end of a file?"""

import os
from collections.abc import Iterator
from pathlib import Path


def lines_backwards(file: Path, most_bytes: int) -> Iterator[bytes]:
    """The whole lines at the end of a file, the last one first, without their ends.

    A torn line at the very end is passed over.

    Args:
        most_bytes: of the end of the file are looked at.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as opened:
        end = opened.seek(0, os.SEEK_END)
        begin = max(0, end - most_bytes)
        opened.seek(begin)
        tail = opened.read(end - begin)
    lines = tail.split(b"\n")
    # Behind the last line's end there is nothing, or what was torn; in front may stand half a one.
    yield from reversed(lines[1 if begin else 0 : -1])
