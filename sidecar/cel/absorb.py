"""How errors are absorbed: an error counts only where no operand and no element decides alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sidecar.cel.access import elements
from sidecar.cel.arithmetic import truth


def logic(decisive: bool, *operands: Callable[[], Any]) -> bool:
    """``&&`` (decided by false) and ``||`` (decided by true)."""
    error: Exception | None = None
    for operand in operands:
        try:
            if truth(operand()) is decisive:
                return decisive
        except Exception as raised:  # noqa: BLE001  any failure of an operand is absorbed alike
            error = error or raised
    if error is not None:
        raise error
    return not decisive


def decided(
    decisive: bool, items: Iterable[tuple[Any, ...]], condition: Callable[..., Any]
) -> bool:
    """``all`` (decided by false) and ``exists`` (decided by true)."""
    error: Exception | None = None
    for each in items:
        try:
            if truth(condition(*each)) is decisive:
                return decisive
        except Exception as raised:  # noqa: BLE001  as above
            error = error or raised
    if error is not None:
        raise error
    return not decisive


def exactly_one(items: Iterable[tuple[Any, ...]], condition: Callable[..., Any]) -> bool:
    """``exists_one``: errors are not absorbed."""
    return sum([truth(condition(*each)) for each in items]) == 1


def chosen(items: Iterable[tuple[Any, ...]], condition: Callable[..., Any]) -> list[Any]:
    """``filter``"""
    return [each[-1] for each in items if truth(condition(*each))]


def mapped(
    items: Iterable[tuple[Any, ...]], condition: Callable[..., Any] | None, step: Callable[..., Any]
) -> list[Any]:
    """``map`` and ``transformList``"""
    return [step(*each) for each in items if condition is None or truth(condition(*each))]


def mapped_keys(
    items: Iterable[tuple[Any, ...]], condition: Callable[..., Any] | None, step: Callable[..., Any]
) -> dict[Any, Any]:
    """``transformMap``"""
    return {each[0]: step(*each) for each in items if condition is None or truth(condition(*each))}


def singles(of: Any, limit: int) -> list[tuple[Any, ...]]:
    """The rounds of a macro with one variable."""
    return [(each,) for each in elements(of, limit)]
