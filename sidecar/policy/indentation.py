"""Which line is indented otherwise than its neighbours, and what was meant?"""

import re
from collections.abc import Sequence

_TABS = re.compile(r" *\t[ \t]*")
_ODD = "\u00a0\u1680\u2000-\u200b\u202f\u205f\u2060\u3000\ufeff"
"""Spaces that look like one, and are text to YAML."""
ODD_START = re.compile(f" *[{_ODD}][ {_ODD}]*")
_ITEM = re.compile(r" *((?:- +)+)")
_KEY = re.compile(r"(?:- +)*[\w.-]+$")


def odd_start(lines: Sequence[str], at: int) -> int | None:
    """The line at `at`, or the last one above it that says something, if an odd space begins it.

    Args:
        at: behind the last line where the end was not expected.
    """
    above = _above(lines, at)
    for line in (at, above):
        if line is not None and line < len(lines) and ODD_START.match(lines[line]):
            return line
    return None


def deeper(lines: Sequence[str], at: int, column: int) -> tuple[int, int] | None:
    """How far a line is indented, and the value above it, where it was taken for more of that.

    Args:
        column: from 0, where a colon was not expected.
    """
    above = _above(lines, at)
    if above is None or at >= len(lines) or not _KEY.match(lines[at][:column].lstrip(" ")):
        return None
    upper = lines[above]
    own, meant = _depth(lines[at]), _depth(upper)
    item = _ITEM.match(upper)
    if item is not None:
        meant += len(item[1])
    has_value = re.search(r":\s+[^\s#|>]", upper) is not None
    return (own, meant) if own > meant and has_value else None


def untabbed(lines: Sequence[str]) -> Sequence[str] | None:
    """The lines with spaces for the tabs that begin them; None where it is not sure how many.

    Where all indentation is of tabs, each is two spaces; a single line is indented as the
    lines around it.
    """
    if not any(line.startswith(" ") and line.strip() for line in lines):
        return [_spaced(line) for line in lines]
    mended = list(lines)
    for at, line in enumerate(lines):
        if not _TABS.match(line) or not line.strip():
            continue
        depth = _depth_beside(mended, at)
        if depth is None:
            return None
        mended[at] = " " * depth + line.lstrip(" \t")
    return mended


def _depth_beside(lines: Sequence[str], at: int) -> int | None:
    """The indentation of the line above, where the line below does not contradict it."""
    above, below = _above(lines, at), _below(lines, at)
    if above is None:
        return None
    depth = _depth(lines[above])
    if _opens(lines[above]):
        # The first line of what is opened there is as deep as the next one, if there is one.
        if below is None or _TABS.match(lines[below]) or _opens(lines[at]):
            return depth + 2
        return _depth(lines[below]) if _depth(lines[below]) > depth else depth + 2
    if _opens(lines[at]):
        return None
    item = _ITEM.match(lines[above])
    if item is not None and not lines[at].lstrip().startswith("- "):
        return depth + len(item[1])
    return depth


def _spaced(line: str) -> str:
    found = _TABS.match(line)
    return line if found is None else found[0].replace("\t", "  ") + line[found.end() :]


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _opens(line: str) -> bool:
    """Whether what a line begins stands below it."""
    return re.search(r":\s*([|>][+-]?)?\s*(#.*)?$", line) is not None


def _above(lines: Sequence[str], at: int) -> int | None:
    return next((it for it in range(at - 1, -1, -1) if _says(lines[it])), None)


def _below(lines: Sequence[str], at: int) -> int | None:
    return next((it for it in range(at + 1, len(lines)) if _says(lines[it])), None)


def _says(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")
