"""What a CEL expression can give: the values that Python has no class for, and the error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

INT_MIN, INT_MAX, UINT_MAX = -(2**63), 2**63 - 1, 2**64 - 1

T = TypeVar("T")


class Uint(int):
    """An unsigned 64-bit integer; a plain ``int`` is CEL's signed one."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{int(self)}u"


@dataclass(frozen=True, slots=True)
class CelType:
    """The value of ``type(x)``: types are values in CEL."""

    name: str


@dataclass(frozen=True, slots=True)
class Opt(Generic[T]):
    """An optional value: a tuple of one element, or of none."""

    held: tuple[T, ...] = ()


@dataclass(frozen=True, slots=True)
class CelError:
    """The outcome of an expression that has no value.

    Args:
        message: what went wrong; names types and keys, never whole inputs.
        start: offset in code points of the sub-expression that failed.
        end: offset behind it.
    """

    message: str
    start: int
    end: int


class Failure(Exception):
    """A CEL error on its way up, inside this package only; ``evaluate`` turns it into a `CelError`."""
