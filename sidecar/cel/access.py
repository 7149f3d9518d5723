"""What lies under a key, an index or a name; Python takes True for 1 there, CEL does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sidecar.cel.settle import name_of, no_overload, settled
from sidecar.cel.values import Failure, Opt, Uint


def has_key(of: Mapping[Any, Any], key: Any) -> bool:
    """Whether a map has the key; Python takes True for 1, CEL does not."""
    if type(key) not in {bool, int, Uint, float, str}:
        return False
    if key not in of:
        return False
    if type(key) is str or (key != 0 and key != 1):
        return True
    return any(each == key and (type(each) is bool) is (type(key) is bool) for each in of)


def value_at(of: Mapping[Any, Any], key: Any) -> Any:
    """The value under a key.

    Raises:
        Failure: there is none, or it is no type of key.
    """
    if type(key) not in {bool, int, Uint, float, str}:
        raise Failure(f"no such overload: {name_of(key)} is no type of key")
    if not has_key(of, key):
        raise Failure(f"no such key: {key_text(key)}")
    return of[key]


def key_text(key: object) -> str:
    """A key as a message shows it, cut where it is long."""
    if isinstance(key, str):
        return f'"{key}"' if len(key) <= 40 else f'"{key[:37]}..."'
    return str(key).lower() if isinstance(key, bool) else str(key)


def element_at(of: Any, index: Any) -> Any:
    """``list[index]`` for a list known as one."""
    if type(index) is not int:
        if type(index) is Uint or (type(index) is float and index.is_integer()):
            index = int(index)
        else:
            raise Failure(f"no such overload: a list is indexed by int, not {name_of(index)}")
    if 0 <= index < len(of):
        return of[index]
    raise Failure(f"index {index} is out of range")


def item(of: Any, index: Any) -> Any:
    """``of[index]``"""
    of = settled(of)
    if type(of) is dict:
        return value_at(of, settled(index))
    if type(of) is list:
        return element_at(of, settled(index))
    if type(of) is Opt:
        return Opt(()) if not of.held else item_or_none(of.held[0], index)
    raise no_overload("[]", of, index)


def item_or_none(of: Any, index: Any) -> Any:
    """``of[?index]``"""
    of = settled(of)
    if type(of) is Opt:
        return Opt(()) if not of.held else item_or_none(of.held[0], index)
    if type(of) is dict:
        return Opt((of[index],)) if has_key(of, index) else Opt(())
    if type(of) is list:
        if type(index) is int and not 0 <= index < len(of):
            return Opt(())
        return Opt((element_at(of, index),))
    raise no_overload("[?]", of, index)


def member(of: Any, name: str) -> Any:
    """``of.name``"""
    if type(of) is dict:
        if name in of:
            return of[name]
        raise Failure(f"no such key: {key_text(name)}")
    if type(of) is Opt:
        return item(of, name)
    of = settled(of)
    if type(of) is dict:
        return member(of, name)
    raise Failure(f"no such overload: {name_of(of)} has no members")


def has_member(of: Any, name: str) -> bool:
    """``has(of.name)``"""
    of = settled(of)
    if type(of) is dict:
        return name in of
    if type(of) is Opt:
        return bool(of.held) and has_member(of.held[0], name)
    raise Failure(f"no such overload: {name_of(of)} has no members")


def elements(of: Any, limit: int) -> Iterable[Any]:
    """What a macro goes over: the elements of a list or the keys of a map, no more than were declared."""
    of = settled(of)
    if type(of) is not list and type(of) is not dict:
        raise Failure(f"no such overload: a macro goes over a list or a map, not {name_of(of)}")
    if len(of) > limit:
        raise Failure(f"{len(of)} elements, where at most {limit} are declared")
    return of if type(of) is list else list(of)


def pairs(of: Any, limit: int) -> Iterable[tuple[Any, Any]]:
    """What a macro of two variables goes over: index and element, or key and value."""
    of = settled(of)
    elements(of, limit)
    return enumerate(of) if type(of) is list else list(of.items())


def mapping(*entries: tuple[Any, Any]) -> dict[Any, Any]:
    """A map literal whose keys have to be looked at: their types, and that none occurs twice."""
    result: dict[Any, Any] = {}
    for key, value in entries:
        if type(key) not in {bool, int, Uint, str}:
            raise Failure(f"no such overload: {name_of(key)} is no type of key")
        if key in result:
            if not has_key(result, key):
                raise Failure("a map with both a bool and its number as keys is not supported")
            raise Failure(f"key {key_text(key)} occurs twice")
        result[key] = value
    return result
