"""How large a value can be at most: the one bound that types declare, expressions pass on, and programs tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sidecar.cel.environment import Budget
from sidecar.cel.types import Bytes, Dyn, List, Map, Maybe, Object, String, Type

_MOST = 1 << 62
"""Beyond it nothing is counted: it is too much by far, and squares of squares would be a cost of their own."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The greatest size of a value, and of what is in it.

    Args:
        size: characters, octets, elements or entries; 1 of what has none.
        inner: of each element or value, if it has any.
        key: of each key of a map.
        leaves: how many values without parts hang below.
        total: the size of all that hangs below, without keys.
        keys: the size of all keys below.
    """

    size: int
    inner: Extent | None
    key: Extent | None
    leaves: int
    total: int
    keys: int = 0

    @property
    def held(self) -> int:
        """All that it can hold."""
        return self.total + self.keys

    @property
    def widest(self) -> int:
        """The greatest size of anything in it, at any depth."""
        below = [each.widest for each in (self.inner, self.key) if each is not None]
        return max([self.size, *below])

    @property
    def part(self) -> Extent:
        """What bounds every part of it, at any depth and of any type; and itself."""
        return replace(anything(self.widest, self.held), leaves=self.leaves)

    def within(self, total: int) -> Extent:
        """The same, where it is known that there is no more in all."""
        return replace(self, total=min(self.total, total))


def text(length: int) -> Extent:
    """Of a text or octets of some length."""
    size = min(length, _MOST)
    return Extent(size, None, None, 1, size)


ONE = text(1)


def holding(size: int, inner: Extent, key: Extent | None = None) -> Extent:
    """Of a list, or with keys of a map, all of whose elements are as large."""
    keys = inner.keys + (0 if key is None else key.held)
    return _bounded(size, inner, key, size * inner.leaves, size * max(1, inner.total), size * keys)


def gathered(elements: list[Extent], keys: list[Extent] | None = None) -> Extent:
    """Of a list or a map of just these."""
    return _bounded(
        len(elements), _widest(elements), _widest(keys or []),
        sum(each.leaves for each in elements),
        sum(max(1, each.total) for each in elements),
        sum(each.keys for each in elements) + sum(each.held for each in keys or []),
    )  # fmt: skip


def joined(a: Extent, b: Extent) -> Extent:
    """Of two texts or lists one after the other."""
    inner = _or(a.inner, b.inner)
    return _bounded(
        a.size + b.size, inner, None, a.leaves + b.leaves, a.total + b.total, a.keys + b.keys
    )


def wider(a: Extent, b: Extent) -> Extent:
    """Of a value that is one of two."""
    return Extent(
        max(a.size, b.size), _or(a.inner, b.inner), _or(a.key, b.key),
        max(a.leaves, b.leaves), max(a.total, b.total), max(a.keys, b.keys),
    )  # fmt: skip


def _bounded(
    size: int, inner: Extent | None, key: Extent | None, leaves: int, total: int, keys: int
) -> Extent:
    return Extent(
        min(size, _MOST), inner, key, min(leaves, _MOST), min(total, _MOST), min(keys, _MOST)
    )


def anything(widest: int, total: int) -> Extent:
    """Of a value of no known type: as long as its longest text, as much as a list of such in all."""
    widest = max(1, widest)
    per = text(max(1, -(-total // widest)))
    return Extent(widest, per, per, widest, max(total, widest))


def largest(of: Type, budget: Budget) -> Extent:
    """Of the largest value of a type."""
    match of:
        case String(max_length=length) | Bytes(max_length=length):
            return text(length)
        case List(element, size):
            return holding(size, largest(element, budget))
        case Map(key, value, size):
            return holding(size, largest(value, budget), largest(key, budget))
        case Maybe(element):
            return largest(element, budget)
        case Object(members=members):
            held = gathered([largest(member.type, budget) for member in members.values()])
            return replace(held, inner=held.part)
        case Dyn(widest=widest, total=total):
            if widest:
                return replace(anything(widest, total), leaves=max(1, total))
            return anything(budget.unknown_length, budget.unknown_length * budget.unknown_size)
    return ONE


def sized(of: Type, extent: Extent, budget: Budget) -> Type:
    """The type whose largest value is as large as that: how a program's result is declared for others."""
    inner, key = extent.inner or extent.part, extent.key or extent.part
    match of:
        case String(known=known):
            return String(extent.size, known)
        case Bytes():
            return Bytes(extent.size)
        case List(element):
            return List(sized(element, inner, budget), extent.size)
        case Map(of_key, value):
            of_key, value = sized(of_key, key, budget), sized(value, inner, budget)
            return replace(of, key=of_key, value=value, max_size=extent.size)
        case Maybe(element):
            return Maybe(sized(element, extent, budget))
        case Dyn() if not _fits(extent, largest(of, budget)):
            return replace(of, widest=extent.widest, total=extent.held)
    return of


def _fits(a: Extent, b: Extent) -> bool:
    return a.widest <= b.widest and a.leaves <= b.leaves and a.held <= b.held


def _or(a: Extent | None, b: Extent | None) -> Extent | None:
    return a or b if a is None or b is None else wider(a, b)


def _widest(extents: Iterable[Extent]) -> Extent | None:
    found: Extent | None = None
    for each in extents:
        found = _or(found, each)
    return found
