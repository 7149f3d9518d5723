"""How does a runtime ask, on an event loop and in threads?

Both clients ask the same questions (`asking`); all that is their own is who waits.
"""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self, TypeVar, Unpack

from sidecar.client.answers import Decision, Entitlement
from sidecar.client.asking import Ask, Asked, Flow, OnFailure, Questions
from sidecar.client.background import Background
from sidecar.client.faults import Lost, PaymentRequired
from sidecar.client.held import AsyncReservation, Reservation
from sidecar.client.subscribed import subscription_of
from sidecar.client.wire import Address, AsyncWire, Wire

T = TypeVar("T")

HERE: Final = "http://127.0.0.1:8377"


class _Client:
    """What both clients are made of.

    Args:
        url: where the sidecar listens: `http://host:port`, or `unix:///path/of/the.sock`.
        key: of the runtime (`SIDECAR_RUNTIME_KEYS`), where the sidecar asks for one.
        app_id: of all questions that name none.
        on_failure: when the sidecar gives no answer: `open` lets requests run and reports what
            they used later, `closed` refuses them.
        timeout_s: how long one attempt may take; what got lost is asked once more.
        most_connections: to the sidecar at once; who comes beyond waits for a turn.
        most_reports: usage that is kept while the sidecar is away; what comes beyond is dropped.
        batch_s: how long a usage event waits for others.

    Raises:
        ValueError: the address or `on_failure` is none.
    """

    def __init__(
        self,
        url: str = HERE,
        *,
        key: str | None = None,
        app_id: str | None = None,
        on_failure: OnFailure = "open",
        timeout_s: float = 1.0,
        most_connections: int = 32,
        most_reports: int = 10_000,
        batch_s: float = 0.5,
    ) -> None:
        self._address = Address(url.rstrip("/"), key, timeout_s)
        self._most_connections = most_connections
        self.questions = Questions(app_id, on_failure)
        self.background = Background(self._address, most=most_reports, batch_s=batch_s)
        self._open()

    def _open(self) -> None:
        """Make what the questions travel over, unless that must wait for an event loop."""

    def report(self, event: Mapping[str, Any]) -> bool:
        """Send a usage event in the background; False if there is no room for it.

        Args:
            event: as `POST /v1/usage` takes it. Without an `app_id` it is of the client's app, and
                without an `event_id` it gets one of its own, so that it counts once.
        """
        return self.background.report(self.questions.event(event))

    @property
    def dropped(self) -> int:
        """Reports that there was no room for."""
        return self.background.dropped


class AsyncEntitlements(_Client):
    """Asks the sidecar on an event loop; `async with` closes it, and so does `close`."""

    _wire: AsyncWire | None = None
    _loop: asyncio.AbstractEventLoop | None = None

    async def check(self, user_id: str, **asked: Unpack[Asked]) -> Decision:
        """May this run? A refusal is an answer; nothing is held or counted.

        Raises:
            InvalidQuestion: the sidecar does not understand it.
        """
        return await self._run(self.questions.check(user_id, asked))

    async def require(self, user_id: str, **asked: Unpack[Asked]) -> Decision:
        """The answer, if it is not no.

        Raises:
            PaymentRequired: it is no.
            InvalidQuestion: the sidecar does not understand the question.
        """
        return _granted(await self.check(user_id, **asked))

    def reserve(self, user_id: str, *, ttl_s: int = 60, **asked: Unpack[Asked]) -> AsyncReservation:
        """A context in which the estimate is held; see `sidecar.client.held`.

        Args:
            ttl_s: how long units stay held when this process is gone; while it runs, they are
                held for as long as the context lasts.
        """
        return AsyncReservation(self, user_id, asked, ttl_s)

    async def entitlements(self, user_id: str, *, app_id: str | None = None) -> Entitlement:
        """Plan, plugins, features and limits of a user, for a settings page.

        Raises:
            SidecarUnavailable: nobody knows.
        """
        return await self._run(self.questions.entitlements(user_id, app_id))

    async def get_user_subscription(self, user_id: str) -> dict[str, Any]:
        """The user's subscription, as the runtime's own subscription manager gives it.

        Raises:
            SidecarUnavailable: nobody knows.
        """
        return subscription_of(user_id, await self.entitlements(user_id))

    async def is_plugin_accessible(self, user_id: str, plugin_name: str) -> bool:
        """Whether the user's plan has this plugin, used up or not."""
        return (await self.check(user_id, plugin=plugin_name)).includes_plugin

    async def flush(self, within_s: float = 5.0) -> bool:
        """Wait until all that was reported is sent; False if it is not by then."""
        return await asyncio.to_thread(self.background.flush, within_s)

    async def close(self, within_s: float = 5.0) -> None:
        """Send what was reported, and close all connections."""
        await asyncio.to_thread(self.background.close, within_s)
        if self._wire is not None:
            await self._wire.close()
            self._wire = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def asked_to_hold(self, user_id: str, asked: Asked, ttl_s: int) -> Decision:
        """The answer to a check that holds its estimate."""
        return await self._run(self.questions.check(user_id, asked, ttl_s=ttl_s))

    async def more(self, decision: Decision, ttl_s: int, more: Mapping[str, int]) -> Decision:
        """The answer to holding more; without a hold there is nothing to ask."""
        if decision.reservation_id is None:
            return decision
        return await self._run(self.questions.extend(decision.reservation_id, ttl_s, more))

    async def settle(self, ask: Ask) -> None:
        """Commit or release.

        Raises:
            SidecarUnavailable, InvalidQuestion: it was not done, as far as anybody knows.
        """
        await self._run(self.questions.settle(ask))

    async def _run(self, flow: Flow[T]) -> T:
        loop = asyncio.get_running_loop()
        if self._wire is None or loop is not self._loop:
            # Connections belong to the loop that made them.
            is_hopeless = self.questions.is_hopeless
            self._wire = AsyncWire(self._address, self._most_connections, is_hopeless)
            self._loop = loop
        try:
            ask = next(flow)
            while True:
                try:
                    reply = await self._wire.exchange(ask)
                except Lost as error:
                    ask = flow.throw(error)
                else:
                    ask = flow.send(reply)
        except StopIteration as end:
            value: T = end.value
            return value


class Entitlements(_Client):
    """Asks the sidecar in threads, as many as there are; `with` closes it, and so does `close`."""

    def _open(self) -> None:
        self._wire = Wire(self._address, self._most_connections, self.questions.is_hopeless)

    def check(self, user_id: str, **asked: Unpack[Asked]) -> Decision:
        """May this run? A refusal is an answer; nothing is held or counted.

        Raises:
            InvalidQuestion: the sidecar does not understand it.
        """
        return self._run(self.questions.check(user_id, asked))

    def require(self, user_id: str, **asked: Unpack[Asked]) -> Decision:
        """The answer, if it is not no.

        Raises:
            PaymentRequired: it is no.
            InvalidQuestion: the sidecar does not understand the question.
        """
        return _granted(self.check(user_id, **asked))

    def reserve(self, user_id: str, *, ttl_s: int = 60, **asked: Unpack[Asked]) -> Reservation:
        """A context in which the estimate is held; see `sidecar.client.held`.

        Args:
            ttl_s: how long units stay held when this process is gone; while it runs, they are
                held for as long as the context lasts.
        """
        return Reservation(self, user_id, asked, ttl_s)

    def entitlements(self, user_id: str, *, app_id: str | None = None) -> Entitlement:
        """Plan, plugins, features and limits of a user, for a settings page.

        Raises:
            SidecarUnavailable: nobody knows.
        """
        return self._run(self.questions.entitlements(user_id, app_id))

    def get_user_subscription(self, user_id: str) -> dict[str, Any]:
        """The user's subscription, as the runtime's own subscription manager gives it.

        Raises:
            SidecarUnavailable: nobody knows.
        """
        return subscription_of(user_id, self.entitlements(user_id))

    def is_plugin_accessible(self, user_id: str, plugin_name: str) -> bool:
        """Whether the user's plan has this plugin, used up or not."""
        return self.check(user_id, plugin=plugin_name).includes_plugin

    def flush(self, within_s: float = 5.0) -> bool:
        """Wait until all that was reported is sent; False if it is not by then."""
        return self.background.flush(within_s)

    def close(self, within_s: float = 5.0) -> None:
        """Send what was reported, and close all connections."""
        self.background.close(within_s)
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def asked_to_hold(self, user_id: str, asked: Asked, ttl_s: int) -> Decision:
        """The answer to a check that holds its estimate."""
        return self._run(self.questions.check(user_id, asked, ttl_s=ttl_s))

    def more(self, decision: Decision, ttl_s: int, more: Mapping[str, int]) -> Decision:
        """The answer to holding more; without a hold there is nothing to ask."""
        if decision.reservation_id is None:
            return decision
        return self._run(self.questions.extend(decision.reservation_id, ttl_s, more))

    def settle(self, ask: Ask) -> None:
        """Commit or release.

        Raises:
            SidecarUnavailable, InvalidQuestion: it was not done, as far as anybody knows.
        """
        self._run(self.questions.settle(ask))

    def _run(self, flow: Flow[T]) -> T:
        try:
            ask = next(flow)
            while True:
                try:
                    reply = self._wire.exchange(ask)
                except Lost as error:
                    ask = flow.throw(error)
                else:
                    ask = flow.send(reply)
        except StopIteration as end:
            value: T = end.value
            return value


def _granted(decision: Decision) -> Decision:
    if not decision.allowed:
        raise PaymentRequired(decision)
    return decision
