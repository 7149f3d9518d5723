"""What becomes of an event by what the control plane says to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.utils import format_datetime
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from sidecar.adapters.control_plane.deliveries import EventDeliveries
from sidecar.adapters.control_plane.receiver import Receiver
from sidecar.adapters.web import Web
from sidecar.domain.event_log import Format, Keeping, Settled
from tests.contract.logged import Logged, logged
from tests.contract.stores import ManualClock
from tests.listening import until

URL = "http://control.plane/ingest"
KEY = "key-of-ours-there"
Answers = Callable[[dict[str, Any]], httpx.Response]


@dataclass
class ControlPlane:
    """Answers what it is told to, and remembers what it was sent."""

    answer: Answers = lambda _: httpx.Response(202)
    sent: list[dict[str, Any]] = field(default_factory=list)
    headers: list[httpx.Headers] = field(default_factory=list)

    async def take(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(json.loads(request.content))
        self.headers.append(request.headers)
        return self.answer(self.sent[-1])

    def in_turn(self, *answers: httpx.Response | int) -> None:
        """Give these answers, and then take whatever comes."""
        given: Iterator[httpx.Response | int] = chain(answers, repeat(204))

        def answer(_: dict[str, Any]) -> httpx.Response:
            found = next(given)
            return httpx.Response(found) if isinstance(found, int) else found

        self.answer = answer

    @property
    def ids(self) -> list[str]:
        return [each["event_id"] for each in self.sent]


class Machine(ManualClock):
    """The same clock for who delivers."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


@dataclass
class Delivering:
    """A log of events, and who delivers it."""

    store: Logged
    plane: ControlPlane
    web: Web
    clock: Machine

    def deliveries(self, written: Format = Format.SUMMARY) -> EventDeliveries:
        clock = _Now(self.clock)
        receiver = Receiver(self.web, URL, written, KEY, clock)
        return EventDeliveries(self.store.outbox, receiver, self.store.arrivals, clock)

    async def deliver(self, written: Format = Format.SUMMARY) -> None:
        """Deliver what an app has, until there is nothing more or nobody takes it."""
        deliveries = self.deliveries(written)
        while await deliveries.deliver_some("app"):
            pass

    async def waits(self) -> timedelta:
        """How long nothing more is tried, to the tenth of a second."""
        waited = timedelta()
        while await self.store.take("looker") is None:
            waited += timedelta(milliseconds=100)
            self.clock.advance(milliseconds=100)
            assert waited < timedelta(hours=2)
        await self.store.settle(_NOTHING, "looker")
        return waited


@dataclass
class _Now:
    """The clock of the tests as the ports have it."""

    clock: Machine

    def now(self) -> Any:
        return self.clock.now

    def monotonic(self) -> float:
        return self.clock.monotonic()


_NOTHING = Settled()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Delivering]:
    """Three events of an app wait."""
    clock, plane = Machine(), ControlPlane()
    web = Web(transport=httpx.MockTransport(plane.take))
    async with web, logged(None, tmp_path / "s.db", clock, Keeping(most_waiting=1_000)) as store:
        await report(store, "a", "b", "c")
        yield Delivering(store, plane, web, clock)


async def report(store: Logged, *names: str) -> None:
    events = []
    for name in names:
        charged = store.event(name)
        told = {
            "kind": "summary" if name == "sum" else "delta", "event_id": name,
            "event_ts": charged.event.at, "chat_id": "chat", "app_id": "app", "user_id": "user",
            "workflow_name": "bot", "agent_name": None, "model_name": "gpt-4o",
            "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7,
        }  # fmt: skip
        events.append(replace(charged, event=replace(charged.event, told=told)))
    await store.meter.record("app", events, since=asyncio.get_running_loop().time())


async def test_an_event_is_posted_as_it_came_with_the_key(world: Delivering) -> None:
    await world.deliver()

    assert world.plane.ids == ["a", "b", "c"]
    assert world.plane.sent[0] == {
        "event_id": "a", "event_ts": "2026-05-05T12:00:00Z", "chat_id": "chat", "app_id": "app",
        "user_id": "user", "workflow_name": "bot", "agent_name": None, "model_name": "gpt-4o",
        "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7,
    }  # fmt: skip
    headers = world.plane.headers[0]
    assert headers["x-internal-api-key"] == KEY
    assert headers["content-type"] == "application/json"
    assert await world.store.waiting() == (0, 0)


async def test_in_the_platforms_words_several_go_together(world: Delivering) -> None:
    await report(world.store, "sum")
    await world.deliver(Format.EVENTS)

    [sent] = world.plane.sent
    assert sent["events"][0] == {
        "event_type": "token_usage",
        "app_id": "app",
        "user_id": "user",
        "timestamp": "2026-05-05T12:00:00Z",
        "data": {
            "workflow_id": "bot", "model": "gpt-4o",
            "input_tokens": 3, "output_tokens": 4, "total_tokens": 7,
        },
    }  # fmt: skip
    kinds = [each["event_type"] for each in sent["events"]]
    assert kinds == ["token_usage"] * 3 + ["token_usage_summary"]
    assert await world.store.waiting() == (0, 0)


async def test_a_hundred_at_most_go_together(world: Delivering) -> None:
    await report(world.store, *(f"e{number}" for number in range(247)))
    await world.deliver(Format.EVENTS)

    assert [len(sent["events"]) for sent in world.plane.sent] == [100, 100, 50]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 409])
async def test_what_is_taken_or_known_already_is_done(status: int, world: Delivering) -> None:
    world.plane.answer = lambda _: httpx.Response(status)
    await world.deliver()

    assert world.plane.ids == ["a", "b", "c"]
    assert await world.store.waiting() == (0, 0)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 302, 307])
async def test_what_is_not_taken_now_is_tried_again_and_what_is_behind_it_waits(
    status: int, world: Delivering
) -> None:
    world.plane.in_turn(204, status, status)
    for _ in range(3):
        await world.deliver()
        await world.waits() if (await world.store.waiting())[0] else None

    assert world.plane.ids == ["a", "b", "b", "b", "c"]
    assert await world.store.waiting() == (0, 0)


async def test_who_does_not_answer_is_asked_again(world: Delivering) -> None:
    def hang_up(_: dict[str, Any]) -> httpx.Response:
        raise httpx.ConnectError("nobody listens")

    world.plane.answer = hang_up
    await world.deliver()
    [line] = await world.store.outbox.lines(1, since=asyncio.get_running_loop().time())
    assert "nobody listens" in line.fault
    assert timedelta(seconds=1) <= await world.waits()

    world.plane.in_turn()
    await world.deliver()
    assert world.plane.ids == ["a", "a", "b", "c"]


async def test_pauses_grow_from_a_second_to_five_minutes_and_are_not_all_alike(
    world: Delivering,
) -> None:
    world.plane.answer = lambda _: httpx.Response(503)
    pauses = []
    for _ in range(14):
        await world.deliver()
        pauses.append((await world.waits()).total_seconds())

    for tries, pause in enumerate(pauses):
        longest = min(2**tries, 300)
        assert max(1, longest / 2) <= pause <= max(1, longest) + 0.1, pauses
    assert len(set(pauses[9:])) > 1


@pytest.mark.parametrize("status", [429, 503])
async def test_who_says_how_long_to_wait_is_left_alone_for_so_long(
    status: int, world: Delivering
) -> None:
    world.plane.in_turn(httpx.Response(status, headers={"Retry-After": "120"}))
    await world.deliver()
    assert timedelta(seconds=120) <= await world.waits() <= timedelta(seconds=120.2)

    at = format_datetime(world.clock.now + timedelta(seconds=90), usegmt=True)
    world.plane.in_turn(httpx.Response(status, headers={"Retry-After": at}))
    await world.deliver()
    assert timedelta(seconds=89) <= await world.waits() <= timedelta(seconds=90.2)


@pytest.mark.parametrize("asked", ["99999999999999", "soon", "-5", "1e9", "", "Tue, 1 Jan"])
async def test_what_no_one_can_wait_for_is_not_waited_for(asked: str, world: Delivering) -> None:
    world.plane.in_turn(httpx.Response(429, headers={"Retry-After": asked}))
    await world.deliver()

    assert timedelta(seconds=1) <= await world.waits() <= timedelta(hours=1, seconds=1)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
async def test_what_is_refused_for_good_is_set_aside_and_the_next_goes_on(
    status: int, world: Delivering
) -> None:
    world.plane.in_turn(204, status)
    await world.deliver()

    assert world.plane.ids == ["a", "b", "c"]
    assert await world.store.waiting() == (0, 1)
    since = asyncio.get_running_loop().time()
    [refused] = await world.store.outbox.set_aside(5, since=since)
    assert (json.loads(refused.event.body)["event_id"], refused.status) == ("b", status)

    assert await world.store.outbox.retry("app", refused.event.place, since=since)
    await report(world.store, "d")
    await world.deliver()
    assert world.plane.ids[3:] == ["b", "d"]
    assert await world.store.waiting() == (0, 0)


async def test_of_several_that_are_refused_together_only_the_one_at_fault_is_set_aside(
    world: Delivering,
) -> None:
    await report(world.store, "bad", "d", "e")

    def answer(sent: dict[str, Any]) -> httpx.Response:
        return httpx.Response(422 if len(sent["events"]) > 1 or len(world.plane.sent) == 5 else 202)

    world.plane.answer = answer
    await world.deliver(Format.EVENTS)

    assert [len(sent["events"]) for sent in world.plane.sent] == [6, 1, 1, 1, 1, 1, 1]
    assert await world.store.waiting() == (0, 1)
    since = asyncio.get_running_loop().time()
    [refused] = await world.store.outbox.set_aside(5, since=since)
    assert json.loads(refused.event.body)["event_id"] == "bad"


async def test_of_several_the_one_that_is_not_taken_now_keeps_those_behind_it(
    world: Delivering,
) -> None:
    world.plane.in_turn(422, 202, 500)
    await world.deliver(Format.EVENTS)

    assert await world.store.waiting() == (2, 0)
    assert await world.store.deliver() == []
    await world.waits()
    assert await world.store.deliver() == ["b", "c"]


async def test_who_is_stopped_in_between_notes_what_was_taken_and_lets_go(
    world: Delivering,
) -> None:
    asked, never = asyncio.Event(), asyncio.Event()

    async def take(request: httpx.Request) -> httpx.Response:
        world.plane.sent.append(json.loads(request.content))
        if len(world.plane.sent) == 2:
            asked.set()
            await never.wait()
        return httpx.Response(202)

    async with Web(transport=httpx.MockTransport(take)) as web:
        task = asyncio.create_task(replace(world, web=web).deliver())
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert await world.store.taken("you") == ["b", "c"]


async def test_the_key_is_in_no_log_and_in_nothing_that_is_shown(world: Delivering) -> None:
    def fail(_: dict[str, Any]) -> httpx.Response:
        raise httpx.LocalProtocolError(f"Illegal header value {KEY!r}")

    with capture_logs() as logs:
        world.plane.answer = fail
        await world.deliver()
        await world.waits()
        world.plane.in_turn(500, 400)
        await world.deliver()
        await world.waits()
        await world.deliver()

    lines = await world.store.outbox.lines(1, since=asyncio.get_running_loop().time())
    assert len(logs) >= 2
    assert KEY not in repr(logs) + repr(lines) + repr(world.deliveries())


async def test_open_deliveries_find_what_comes_and_what_was_there_before(
    world: Delivering,
) -> None:
    async with world.deliveries().opened():
        await until(lambda: world.plane.ids == ["a", "b", "c"])
        await report(world.store, "d")
        await until(lambda: world.plane.ids == ["a", "b", "c", "d"])
