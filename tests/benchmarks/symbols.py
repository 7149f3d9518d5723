"""Which module does a function of C come from that was compiled from it?"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_SYMBOL: Final = re.compile(r"CPy(?:Def|Py)_(\w+) \([^;]*?\)(?=;| \d+$)")
"""Of mypyc: the end of a module's name that no other has, then class and function."""
_BETWEEN: Final = "___"


def in_python(stacks: Iterable[str], folder: Path) -> Iterator[str]:
    """The same stacks, with what is compiled under the names that it has in Python.

    Args:
        folder: that holds the package with its compiled modules.
    """
    modules = _compiled(folder)

    def named(found: re.Match[str]) -> str:
        parts = found[1].split(_BETWEEN)
        for count in range(len(parts) - 1, 0, -1):
            if (file := modules.get(tuple(parts[:count]))) is not None:
                return f"{'.'.join(parts[count:])} ({file})"
        return found[0]

    return (_SYMBOL.sub(named, line) for line in stacks)


def _compiled(folder: Path) -> dict[tuple[str, ...], Path]:
    """The files of modules, by every end of their names that only one of them has."""
    files = {
        module.relative_to(folder).with_name(module.name.partition(".")[0] + ".py")
        for module in folder.rglob("sidecar/**/*.so")
    }
    ends: dict[tuple[str, ...], list[Path]] = {}
    for file in files:
        name = file.with_suffix("").parts
        for begin in range(len(name)):
            ends.setdefault(name[begin:], []).append(file)
    return {end: found[0] for end, found in ends.items() if len(found) == 1}
