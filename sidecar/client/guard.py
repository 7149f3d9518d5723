"""For whom does this code run, and may it?

A runtime says once, where a request begins, for whom it acts; whatever is decorated further in
asks for that user, with what the decorator says of the function.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar, Unpack, cast

from sidecar.client.asking import Asked
from sidecar.client.entitlements import AsyncEntitlements, Entitlements

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom something runs, and what is known of the request."""

    user_id: str
    asked: Asked

    def and_of(self, asked: Asked) -> Asked:
        """What is known, and what is said here besides; the latter holds."""
        return cast("Asked", {**self.asked, **asked})


_caller: ContextVar[Caller | None] = ContextVar("sidecar_caller", default=None)


@contextmanager
def acting_for(user_id: str, **asked: Unpack[Asked]) -> Iterator[None]:
    """Within it, functions that are `entitled` run for this user.

    Args:
        asked: what is known of the request: its app, its workflow, its session.
    """
    token = _caller.set(Caller(user_id, asked))
    try:
        yield
    finally:
        _caller.reset(token)


def caller() -> Caller:
    """For whom this runs.

    Raises:
        LookupError: nobody has said.
    """
    found = _caller.get()
    if found is None:
        raise LookupError("nobody is acted for; call it within `with acting_for(user_id):`")
    return found


def entitled(
    entitlements: AsyncEntitlements | Entitlements, **asked: Unpack[Asked]
) -> Callable[[F], F]:
    """Let a tool or a plugin run only for those who may, and count each call as a request.

    The decorated function raises `PaymentRequired` in the place of running, and `LookupError`
    where nobody is acted for. Where an estimate is given, it is held meanwhile, and charged
    when the function returns.

    Args:
        entitlements: `AsyncEntitlements` for a coroutine function, `Entitlements` for another.
        asked: what to ask: `plugin`, `feature`, an estimate.

    Raises:
        TypeError: the function is not of the client's kind, or yields.
    """

    def guard(function: F) -> F:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} yields; use `reserve` within it")
        if inspect.iscoroutinefunction(function) != isinstance(entitlements, AsyncEntitlements):
            raise TypeError(
                f"{function.__qualname__}: AsyncEntitlements go with coroutine functions, "
                "Entitlements with others"
            )
        if isinstance(entitlements, AsyncEntitlements):

            @functools.wraps(function)
            async def guarded_coroutine(*args: Any, **kwargs: Any) -> Any:
                who = caller()
                async with entitlements.reserve(who.user_id, **who.and_of(asked)):
                    return await function(*args, **kwargs)

            return cast("F", guarded_coroutine)

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            who = caller()
            with entitlements.reserve(who.user_id, **who.and_of(asked)):
                return function(*args, **kwargs)

        return cast("F", guarded)

    return guard
