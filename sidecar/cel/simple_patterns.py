"""Which patterns need no RE2: those of a few words, and those that Python's own engine matches in linear time.

A backtracking engine is slow only where it has many ways to try. These patterns leave it few: no repetition inside a
group, one repetition in all and only behind ``^``, and four optional parts or alternatives at most.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_OPTIONS = 4
_LITERAL = re.compile(r"[^\\.^$|?*+()\[\]{}]")
_ESCAPED = re.compile(r"\\([-./_@:#%&,;=~!\"' ^$|?*+()\[\]{}])")
_CLASS = re.compile(r"\[(\^?)((?:[A-Za-z0-9]-[A-Za-z0-9]|[A-Za-z0-9_@:/. ])+-?)\]")
_SETS = {"\\d": "[0-9]", "\\w": "[0-9A-Za-z_]", "\\s": "[\\t\\n\\f\\r ]"}


class _NotSimple(Exception):
    """The pattern has a part that is left to RE2."""


@dataclass(frozen=True, slots=True)
class Simple:
    """What is between the anchors of a simple pattern.

    Args:
        start: whether it begins with ``^``.
        end: whether it ends with ``$``.
        form: the rest, written for Python's ``re``.
        words: all texts that the rest matches, or None where they are without end.
    """

    start: bool
    end: bool
    form: str
    words: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class _Piece:
    form: str
    words: tuple[str, ...] | None


def simple_form(pattern: str) -> Simple | None:
    """The parts of a simple pattern, or None where it is not simple enough."""
    start, end = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith("\\$")
    reader = _Reader(pattern[start : len(pattern) - end], repeats=start)
    try:
        body = reader.sequence(within=False)
    except _NotSimple:
        return None
    return Simple(start, end, body.form, body.words)


def _in_a_row(pieces: Iterable[_Piece]) -> _Piece:
    """One piece after the other."""
    form, finite = "", True
    words: tuple[str, ...] = ("",)
    for piece in pieces:
        form += piece.form
        if piece.words is None:
            finite = False
        elif finite:
            words = tuple(before + after for before in words for after in piece.words)
    return _Piece(form, words if finite else None)


class _Reader:
    def __init__(self, text: str, *, repeats: bool) -> None:
        self.text, self.at = text, 0
        self.repetitions, self.options = int(repeats), _OPTIONS

    def sequence(self, *, within: bool) -> _Piece:
        pieces: list[_Piece] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if within and char in "|)":
                break
            piece = self.group() if char == "(" and not within else self.item()
            pieces.append(self.quantified(piece, repeatable=char != "(" and not within))
        return _in_a_row(pieces)

    def item(self) -> _Piece:
        rest = self.text
        if found := _LITERAL.match(rest, self.at):
            self.at = found.end()
            return _Piece(re.escape(found[0]), (found[0],))
        if found := _ESCAPED.match(rest, self.at):
            self.at = found.end()
            return _Piece(re.escape(found[1]), (found[1],))
        if found := _CLASS.match(rest, self.at):
            self.at = found.end()
            return _Piece(found[0], None)
        if rest[self.at] == ".":
            self.at += 1
            return _Piece(".", None)
        if (known := _SETS.get(rest[self.at : self.at + 2])) is not None:
            self.at += 2
            return _Piece(known, None)
        raise _NotSimple

    def group(self) -> _Piece:
        self.at += 3 if self.text.startswith("(?:", self.at) else 1
        branches = [self.sequence(within=True)]
        while self.text.startswith("|", self.at):
            self.at += 1
            self.spend()
            branches.append(self.sequence(within=True))
        if not self.text.startswith(")", self.at):
            raise _NotSimple
        self.at += 1
        words: tuple[str, ...] | None = ()
        for branch in branches:
            words = None if words is None or branch.words is None else words + branch.words
        return _Piece(f"(?:{'|'.join(branch.form for branch in branches)})", words)

    def quantified(self, piece: _Piece, *, repeatable: bool) -> _Piece:
        mark = self.text[self.at : self.at + 1]
        if not mark or mark not in "?*+{":
            return piece
        self.at += 1
        if self.text[self.at : self.at + 1] in {"?", "*", "+", "{"}:
            raise _NotSimple
        if mark == "?":
            self.spend()
            return _Piece(piece.form + mark, None if piece.words is None else (*piece.words, ""))
        if mark == "{" or not repeatable or self.repetitions == 0:
            raise _NotSimple
        self.repetitions -= 1
        return _Piece(piece.form + mark, None)

    def spend(self) -> None:
        if self.options == 0:
            raise _NotSimple
        self.options -= 1
