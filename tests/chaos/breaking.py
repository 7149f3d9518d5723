"""Redis breaks in seven ways, one after the other, while callers go on."""

import asyncio
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import ge, itemgetter
from pathlib import Path
from typing import Final

from tests.chaos.load import Answer, Callers, Ledger, comes_to
from tests.faults.proxy import FaultProxy
from tests.faults.server import DURABLE, redis_node, url_of
from tests.faults.weather import Faults
from tests.processes import RedisNode, Sidecar, free_port

MOST_S: Final = 0.080
BACK_S: Final = 2.0
CALLERS: Final = 4

POLICY: Final = """
apiVersion: sidecar/v1
kind: Policy
metadata: {{name: chaos}}
mode: enforce
defaults: {{plan: free, failure_mode: {mode}}}
plans:
  free:
    plugins: ["*"]
    limits:
      - {{id: tokens, meter: tokens, max: 1000000000, window: month}}
      - {{id: requests, meter: requests, max: 1000000000, window: month}}
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A server's Redis, and the way there."""

    node: RedisNode
    proxy: FaultProxy


@dataclass(frozen=True, slots=True)
class Fault:
    """How it begins and how it ends."""

    begin: Callable[[Place], None]
    end: Callable[[Place], None]


def _weather(faults: Faults) -> Fault:
    return Fault(lambda place: place.proxy.inject(faults), lambda place: place.proxy.heal())


def _told(begin: Sequence[str], end: Sequence[str]) -> Fault:
    def say(words: Sequence[str]) -> Callable[[Place], None]:
        return lambda place: place.node.ask(*words)

    return Fault(say(begin), say(end))


def _demand_password(place: Place) -> None:
    place.node.ask("CONFIG", "SET", "requirepass", "another")
    place.proxy.reset()


def _demand_none(place: Place) -> None:
    with socket.create_connection(("127.0.0.1", place.node.port)) as client:
        client.sendall(b'AUTH another\r\nCONFIG SET requirepass ""\r\n')
        said = b""
        while said.count(b"\r\n") < 2:
            said += client.recv(256)
    assert said == b"+OK\r\n+OK\r\n", said


FAULTS: Final[Mapping[str, Fault]] = {
    "killed": Fault(lambda place: place.node.kill(), lambda place: place.node.start()),
    "black-holed": _weather(Faults(swallows=True)),
    "+100 ms": _weather(Faults(replies_late_ms=100)),
    "stalled": _weather(Faults(stalls=True)),
    "read-only": _told(("REPLICAOF", "127.0.0.1", str(free_port())), ("REPLICAOF", "NO", "ONE")),
    "out of memory": _told(
        ("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")
    ),
    "wrong password": Fault(_demand_password, _demand_none),
}


@dataclass(slots=True)
class Seen:
    """What callers saw of one fault.

    Attributes:
        answers: that began while it lasted.
        degraded: of them, those that say so.
        wrong: answers that are none of their failure mode.
        late: that took more than `MOST_S` beside what the machine took for anything just then.
        longest: the answer that took longest, and how long, reckoned likewise.
        median_s: in the middle, with all that it took.
        back_s: from the end of the fault to the first check that was no guess.
    """

    fault: str
    answers: int
    degraded: int
    wrong: list[Answer]
    late: int
    longest: tuple[float, Answer | None]
    median_s: float
    back_s: float


@dataclass(slots=True)
class Broken:
    """What came of all of them in one failure mode."""

    mode: str
    seen: list[Seen] = field(default_factory=list)
    used: tuple[int, int] = (0, 0)
    counted: tuple[int, int] = (0, 0)
    replayed: int = 0


async def break_all(folder: Path, mode: str, lasts_s: float) -> Broken:
    """Let each fault last so long, and say what was seen.

    Args:
        mode: what the policies say of a missing fact.
    """
    result = Broken(mode)
    policies = folder / "policies"
    policies.mkdir(parents=True)
    (policies / "policy.yaml").write_text(POLICY.format(mode=mode))
    with redis_node(folder, DURABLE) as node, FaultProxy(url_of(node)) as proxy:
        place = Place(node, proxy)
        env = {"SIDECAR_STORE_TIMEOUT_MS": "50"}
        with Sidecar(policies=policies, store=proxy.url, cwd=folder, env=env) as sidecar:
            callers = Callers(lambda: sidecar.url, folder)
            async with callers.calling(CALLERS) as ledger:
                await _becomes(lambda: _is_normal(ledger, 0.0), "the first answers")
                for name, fault in FAULTS.items():
                    result.seen.append(await _meet(name, fault, place, ledger, mode, lasts_s))
            result.used = ledger.used, ledger.requests
            result.counted = await comes_to(sidecar.url, result.used)
    return result


async def _meet(
    name: str, fault: Fault, place: Place, ledger: Ledger, mode: str, lasts_s: float
) -> Seen:
    first = len(ledger.answers)
    await asyncio.to_thread(fault.begin, place)
    began = time.monotonic()
    await asyncio.sleep(lasts_s)
    await asyncio.to_thread(fault.end, place)
    over = time.monotonic()
    await _becomes(lambda: _is_normal(ledger, over), f"normal again after: {name}")
    # What still goes on in the machine has begun while this was seen.
    heard = [made + 2 for made in ledger.rounds]
    await _becomes(lambda: all(map(ge, ledger.rounds, heard)), "the machine was heard")
    back = next(
        each for each in ledger.answers[first:]
        if each.what == "check" and each.began > over and not each.is_degraded
    )  # fmt: skip
    met = [each for each in ledger.answers[first:] if began <= each.began <= over]
    took = sorted(each.took_s for each in met)
    beyond = [(ledger.beyond_noise_s(each), each) for each in met]
    return Seen(
        fault=name,
        answers=len(met),
        degraded=sum(each.is_degraded for each in met),
        wrong=[each for each in met if not _is_of_mode(each, mode)],
        late=sum(beyond_s > MOST_S for beyond_s, _ in beyond),
        longest=max(beyond, key=itemgetter(0), default=(0.0, None)),
        median_s=took[len(took) // 2] if took else 0.0,
        back_s=back.ended - over,
    )


def _is_of_mode(answer: Answer, mode: str) -> bool:
    if not answer.is_degraded:
        return answer.status in (200, 202)
    if answer.what == "check" and mode == "closed":
        return answer.status == 503
    return answer.status in (200, 202)


def _is_normal(ledger: Ledger, since: float) -> bool:
    return any(
        each.what == "check" and each.began > since and each.status == 200 and not each.is_degraded
        for each in ledger.answers[-200:]
    )


async def _becomes(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20.0
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.01)
