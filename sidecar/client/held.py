"""What a run has used of what is held for it, and what becomes of the rest?

A reservation is a context: on the way in the sidecar is asked and, unless it refuses, units are
held; inside they are held for as long as it takes; on the way out what was used is committed and
the rest given back. A run that fails before it has used anything gives all back. One that fails
later, or is cancelled, has used what it has used.
"""

import asyncio
import secrets
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from sidecar.client.answers import Decision
from sidecar.client.asking import Asked, commit, prolong, release
from sidecar.client.background import Background
from sidecar.client.faults import InvalidQuestion, PaymentRequired, SidecarUnavailable
from sidecar.client.waiting import Settlement, Waiting

if TYPE_CHECKING:
    from sidecar.client.entitlements import AsyncEntitlements, Entitlements

_EXTENDED_AT: Final = 0.4
"""Of the time to live: two attempts may get lost."""


class _Held:
    """What both kinds of reservation know."""

    def __init__(
        self, background: Background, user_id: str, app_id: str, asked: Asked, ttl_s: int
    ) -> None:
        self._background = background
        self._user_id = user_id
        self._app_id = app_id
        self._asked = asked
        self._ttl_s = ttl_s
        self._decision: Decision | None = None
        self._used: dict[str, int] = {}
        self._model: str | None = None

    @property
    def decision(self) -> Decision:
        """The answer that the run rests on.

        Raises:
            RuntimeError: nobody has asked yet.
        """
        if self._decision is None:
            raise RuntimeError("a reservation is a context; enter it first")
        return self._decision

    @property
    def used(self) -> dict[str, int]:
        """What the run is known to have used: `input_tokens`, `output_tokens`."""
        return dict(self._used)

    def add(
        self, *, input_tokens: int = 0, output_tokens: int = 0, model: str | None = None
    ) -> None:
        """Count what a step of the run has used.

        Args:
            model: that was used, where it is not the one that was asked for.
        """
        for name, units in (("input_tokens", input_tokens), ("output_tokens", output_tokens)):
            if units < 0:
                raise ValueError(f"{name}: {units} is less than nothing")
            self._used[name] = self._used.get(name, 0) + units
        self._model = model or self._model

    def _enter(self, decision: Decision) -> None:
        if not decision.allowed:
            raise PaymentRequired(decision)
        self._decision = decision
        if decision.reservation_id is not None:
            ask = prolong(decision.reservation_id, self._ttl_s)
            self._background.keep(id(self), ask, self._ttl_s * _EXTENDED_AT)

    def _leave(self, *, failed: bool) -> Settlement | None:
        """How this is settled; None if nobody waits for it."""
        self._background.let_go(id(self))
        decision = self.decision
        if failed and not self._used:
            held = decision.reservation_id
            return None if held is None else Settlement(release(held))
        if decision.reservation_id is None:
            self._background.report(self._event(decision))
            return None
        told: dict[str, Any] = self._used or {"total_tokens": self._estimated}
        if self._model:
            told = {**told, "model": self._model}
        instead = Waiting(self._event(decision), time.monotonic())
        return Settlement(commit(decision.reservation_id, told), instead)

    @property
    def _estimated(self) -> int:
        """Where nothing is told, a run that has ended well has used what was held for it."""
        return self._asked.get("input_tokens", 0) + self._asked.get("output_tokens", 0)

    def _event(self, decision: Decision) -> dict[str, Any]:
        """What was used without a hold: the sidecar was away, or has lost what it held."""
        asked = self._asked
        used = self._used or {
            name: asked[name] for name in ("input_tokens", "output_tokens") if name in asked
        }
        told = {
            "event_id": f"{decision.id}-{secrets.token_hex(4)}",
            "app_id": self._app_id,
            "user_id": self._user_id,
            "chat_id": asked.get("session_id"),
            "workflow_name": asked.get("workflow"),
            "agent_name": asked.get("agent"),
            "model_name": self._model or asked.get("model"),
            "plugin": asked.get("plugin"),
            "prompt_tokens": used.get("input_tokens", 0),
            "completion_tokens": used.get("output_tokens", 0),
        }
        return {name: value for name, value in told.items() if value is not None}


class AsyncReservation(_Held):
    """`async with entitlements.reserve(...) as held:` on an event loop."""

    def __init__(self, of: "AsyncEntitlements", user_id: str, asked: Asked, ttl_s: int) -> None:
        super().__init__(of.background, user_id, of.questions.app_of(asked), asked, ttl_s)
        self._of = of

    async def more(self, *, input_tokens: int = 0, output_tokens: int = 0) -> Decision:
        """Hold more, in the middle of a run.

        Raises:
            PaymentRequired: there is no room for it; what is held stays held.
        """
        return _granted(
            await self._of.more(self.decision, self._ttl_s, _tokens(input_tokens, output_tokens))
        )

    async def __aenter__(self) -> Self:
        self._enter(await self._of.asked_to_hold(self._user_id, self._asked, self._ttl_s))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if (settlement := self._leave(failed=kind is not None)) is None:
            return
        try:
            await self._of.settle(settlement.ask)
        except (SidecarUnavailable, InvalidQuestion):
            self._background.settle(settlement)
        except asyncio.CancelledError:
            # Once more does no harm.
            self._background.settle(settlement)
            raise


class Reservation(_Held):
    """`with entitlements.reserve(...) as held:` in a thread."""

    def __init__(self, of: "Entitlements", user_id: str, asked: Asked, ttl_s: int) -> None:
        super().__init__(of.background, user_id, of.questions.app_of(asked), asked, ttl_s)
        self._of = of

    def more(self, *, input_tokens: int = 0, output_tokens: int = 0) -> Decision:
        """Hold more, in the middle of a run.

        Raises:
            PaymentRequired: there is no room for it; what is held stays held.
        """
        return _granted(
            self._of.more(self.decision, self._ttl_s, _tokens(input_tokens, output_tokens))
        )

    def __enter__(self) -> Self:
        self._enter(self._of.asked_to_hold(self._user_id, self._asked, self._ttl_s))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if (settlement := self._leave(failed=kind is not None)) is None:
            return
        try:
            self._of.settle(settlement.ask)
        except (SidecarUnavailable, InvalidQuestion):
            self._background.settle(settlement)


def _granted(decision: Decision) -> Decision:
    if not decision.allowed:
        raise PaymentRequired(decision)
    return decision


def _tokens(input_tokens: int, output_tokens: int) -> dict[str, int]:
    return {"input_tokens": input_tokens, "output_tokens": output_tokens}
