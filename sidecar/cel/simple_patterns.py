"""Which patterns Python's own engine matches in linear time, and how they are written for it.

A backtracking engine is slow only where it has many ways to try. These patterns leave it few: no repetition inside a
group, one repetition in all and only behind ``^``, and four optional parts or alternatives at most.
"""

from __future__ import annotations

import re

_OPTIONS = 4
_LITERAL = re.compile(r"[^\\.^$|?*+()\[\]{}]")
_ESCAPED = re.compile(r"\\([-./_@:#%&,;=~!\"' ^$|?*+()\[\]{}])")
_CLASS = re.compile(r"\[(\^?)((?:[A-Za-z0-9]-[A-Za-z0-9]|[A-Za-z0-9_@:/. ])+-?)\]")
_SETS = {"\\d": "[0-9]", "\\w": "[0-9A-Za-z_]", "\\s": "[\\t\\n\\f\\r ]"}


class _NotSimple(Exception):
    """The pattern has a part that is left to RE2."""


def simple_form(pattern: str) -> str | None:
    """The pattern for Python's ``re``, or None where it is not simple enough."""
    start, end = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith("\\$")
    reader = _Reader(pattern[start : len(pattern) - end], repeats=start)
    try:
        body = reader.sequence(within=False)
    except _NotSimple:
        return None
    # Python's $ also matches before a last newline, RE2's does not
    return ("\\A" if start else "") + body + ("\\Z" if end else "")


class _Reader:
    def __init__(self, text: str, *, repeats: bool) -> None:
        self.text, self.at = text, 0
        self.repetitions, self.options = int(repeats), _OPTIONS

    def sequence(self, *, within: bool) -> str:
        pieces: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if within and char in "|)":
                break
            item, quantifiable = (
                self.group() if char == "(" and not within else (self.item(), not within)
            )
            pieces.append(item + self.quantifier(repeatable=quantifiable and char != "("))
        return "".join(pieces)

    def item(self) -> str:
        rest = self.text
        if found := _LITERAL.match(rest, self.at):
            self.at = found.end()
            return re.escape(found[0])
        if found := _ESCAPED.match(rest, self.at):
            self.at = found.end()
            return re.escape(found[1])
        if found := _CLASS.match(rest, self.at):
            self.at = found.end()
            return found[0]
        if rest[self.at] == ".":
            self.at += 1
            return "."
        if (known := _SETS.get(rest[self.at : self.at + 2])) is not None:
            self.at += 2
            return known
        raise _NotSimple

    def group(self) -> tuple[str, bool]:
        self.at += 3 if self.text.startswith("(?:", self.at) else 1
        branches = [self.sequence(within=True)]
        while self.text.startswith("|", self.at):
            self.at += 1
            self.spend()
            branches.append(self.sequence(within=True))
        if not self.text.startswith(")", self.at):
            raise _NotSimple
        self.at += 1
        return f"(?:{'|'.join(branches)})", False

    def quantifier(self, *, repeatable: bool) -> str:
        mark = self.text[self.at : self.at + 1]
        if not mark or mark not in "?*+{":
            return ""
        self.at += 1
        if self.text[self.at : self.at + 1] in {"?", "*", "+", "{"}:
            raise _NotSimple
        if mark == "?":
            self.spend()
            return mark
        if mark == "{" or not repeatable or self.repetitions == 0:
            raise _NotSimple
        self.repetitions -= 1
        return mark

    def spend(self) -> None:
        if self.options == 0:
            raise _NotSimple
        self.options -= 1
