"""The syntax tree: what was written, with the place of every part."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Syntax:
    """A part of the source from code point ``start`` up to ``end``."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Literal(Syntax):
    """A constant: None, bool, int, Uint, float, str or bytes."""

    value: object


@dataclass(frozen=True, slots=True)
class Name(Syntax):
    """An identifier; ``absolute`` with a leading dot."""

    name: str
    absolute: bool = False


@dataclass(frozen=True, slots=True)
class Select(Syntax):
    """``operand.field``, or ``operand.?field`` when optional."""

    operand: Syntax
    field: str
    optional: bool = False
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Subscript(Syntax):
    """``operand[index]``, or ``operand[?index]`` when optional."""

    operand: Syntax
    index: Syntax
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Call(Syntax):
    """``function(arguments)`` or ``target.function(arguments)``; the name's own place beside it."""

    function: str
    target: Syntax | None
    arguments: tuple[Syntax, ...]
    name_start: int
    name_end: int
    absolute: bool = False


@dataclass(frozen=True, slots=True)
class Operation(Syntax):
    """An operator with its operands: ``+ - * / % == != < <= > >= in`` and the unary ``!`` ``neg``."""

    operator: str
    operands: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True)
class Chain(Syntax):
    """``a && b && c`` or ``a || b || c``, kept flat so that long ones are not deep ones."""

    operator: str
    operands: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True)
class Conditional(Syntax):
    """``condition ? then : otherwise``"""

    condition: Syntax
    then: Syntax
    otherwise: Syntax


@dataclass(frozen=True, slots=True)
class ListLiteral(Syntax):
    """``[a, ?b]``; the flag marks an element that may be absent."""

    elements: tuple[tuple[Syntax, bool], ...]


@dataclass(frozen=True, slots=True)
class MapLiteral(Syntax):
    """``{k: v, ?k: v}``"""

    entries: tuple[tuple[Syntax, Syntax, bool], ...]


@dataclass(frozen=True, slots=True)
class Message(Syntax):
    """``Name{field: value}``: read so that it can be refused by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Unreadable(Syntax):
    """A place where the parser already reported a problem."""
