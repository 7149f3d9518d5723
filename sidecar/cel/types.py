"""What a CEL expression can be about: the static types, immutable and comparable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_STRING_LENGTH = 256
DEFAULT_SIZE = 64


@dataclass(frozen=True, slots=True)
class Type:
    """The root of all types; never built itself."""

    @property
    def kind(self) -> str:
        """The one word by which overloads are chosen: "int", "string", "list" ..."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.kind


@dataclass(frozen=True, slots=True)
class Scalar(Type):
    """A type without parts: its name says all."""

    name: str

    @property
    def kind(self) -> str:
        return self.name

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class String(Type):
    """Text.

    Args:
        max_length: the greatest length in code points; the cost of an expression rests on it.
        known: the only values that occur, if there are only some; a comparison to another literal is refused.
    """

    max_length: int = DEFAULT_STRING_LENGTH
    known: frozenset[str] = frozenset()

    @property
    def kind(self) -> str:
        return "string"

    def __str__(self) -> str:
        return "string"


@dataclass(frozen=True, slots=True)
class Bytes(Type):
    """Octets, at most ``max_length`` of them."""

    max_length: int = DEFAULT_STRING_LENGTH

    @property
    def kind(self) -> str:
        return "bytes"


@dataclass(frozen=True, slots=True)
class Dyn(Type):
    """A value of any type.

    Args:
        widest: the greatest length of a text or number of elements in it, at any depth; 0 leaves both to the budget.
        total: all that it can hold, in characters and elements.
        guarded: whether a literal key of it is read behind ``has()`` or ``in`` only, as `Map` says.
    """

    widest: int = 0
    total: int = 0
    guarded: bool = False

    @property
    def kind(self) -> str:
        return "dyn"


@dataclass(frozen=True, slots=True)
class List(Type):
    """A sequence of one element type, of at most ``max_size`` elements."""

    element: Type
    max_size: int = DEFAULT_SIZE

    @property
    def kind(self) -> str:
        return "list"

    def __str__(self) -> str:
        return f"list({self.element})"


@dataclass(frozen=True, slots=True)
class Map(Type):
    """A dictionary whose keys are only known at run time, of at most ``max_size`` entries.

    Args:
        guarded: whether a literal key may be absent, so that ``m.a`` and ``m["a"]`` are read behind ``has(m.a)``
            or ``"a" in m`` only; otherwise an absent key is an error at run time.
    """

    key: Type
    value: Type
    max_size: int = DEFAULT_SIZE
    guarded: bool = False

    @property
    def kind(self) -> str:
        return "map"

    def __str__(self) -> str:
        return f"map({self.key}, {self.value})"


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an object; an optional one may be absent and is read behind ``has()``."""

    type: Type
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Object(Type):
    """A closed set of named members: any other name is an error at compile time."""

    name: str
    members: Mapping[str, Member] = field(hash=False)

    @property
    def kind(self) -> str:
        return "object"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Maybe(Type):
    """An optional value, as ``optional.of`` and ``.?`` make it."""

    element: Type

    @property
    def kind(self) -> str:
        return "optional"

    def __str__(self) -> str:
        return f"optional({self.element})"


@dataclass(frozen=True, slots=True)
class Parameter(Type):
    """The variable ``A`` of a signature such as ``list(A) + list(A)``; never the type of an expression."""

    name: str

    @property
    def kind(self) -> str:
        return "parameter"


BOOL = Scalar("bool")
INT = Scalar("int")
UINT = Scalar("uint")
DOUBLE = Scalar("double")
BYTES = Bytes()
NULL = Scalar("null")
TIMESTAMP = Scalar("timestamp")
DURATION = Scalar("duration")
DYN = Dyn()
TYPE = Scalar("type")
STRING = String()
UNKNOWN = Scalar("unknown")  # of what was already reported: silences everything built upon it

NUMBERS = frozenset({"int", "uint", "double"})
KEYS = frozenset({"bool", "int", "uint", "string", "dyn", "unknown"})


def is_open(of: Type) -> bool:
    """Whether nothing can be said before run time."""
    return of.kind in {"dyn", "unknown"}


def is_guarded(of: Type) -> bool:
    """Whether a literal key is to be proved before it is read."""
    return isinstance(of, Map | Dyn) and of.guarded


def key_kind(of: Type) -> str:
    """The kind of a map's keys; "" of what is no map."""
    return of.key.kind if isinstance(of, Map) else ""


def join(a: Type, b: Type) -> Type:
    """The narrowest type that holds the values of both: dyn where they have nothing in common."""
    if a == b:
        return a
    match a, b:
        case String(), String():
            known = a.known | b.known if a.known and b.known else frozenset()
            return String(max(a.max_length, b.max_length), known)
        case Bytes(), Bytes():
            return Bytes(max(a.max_length, b.max_length))
        case List(), List():
            return List(join(a.element, b.element), max(a.max_size, b.max_size))
        case Map(), Map():
            size, guarded = max(a.max_size, b.max_size), a.guarded or b.guarded
            return Map(join(a.key, b.key), join(a.value, b.value), size, guarded)
        case Maybe(), Maybe():
            return Maybe(join(a.element, b.element))
    if UNKNOWN in (a, b):
        return UNKNOWN
    return DYN


def compatible(a: Type, b: Type) -> bool:
    """Whether a value of the one may be put in the place of the other, as far as types can say."""
    if is_open(a) or is_open(b):
        return True
    match a, b:
        case List(), List():
            return compatible(a.element, b.element)
        case Map(), Map():
            return compatible(a.key, b.key) and compatible(a.value, b.value)
        case Maybe(), Maybe():
            return compatible(a.element, b.element)
        case Object(), Object():
            return a.name == b.name
    return a.kind == b.kind
