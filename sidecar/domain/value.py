"""What is a value? It is built complete and never changes, and its type says so.

A frozen dataclass pays for that each time one is built: every field goes through
`object.__setattr__`, which takes five to seven times as long. A check builds some thirty values,
so who changes one is told by the type checker, which reads every line, and not at run time.
"""

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(kind: type[T]) -> type[T]:
    """A dataclass with slots whose fields are set once, when it is built."""
    return dataclass(slots=True, unsafe_hash=True)(kind)


def fields_of(kind: type[Any]) -> tuple[str, ...]:
    """The names of what a value of this kind is built from."""
    return tuple(each.name for each in fields(kind) if each.init)
