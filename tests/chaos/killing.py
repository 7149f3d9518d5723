"""A server is killed at random moments under load: what it acknowledged is counted, and once."""

import asyncio
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.adapters.decisions.files import decision_files
from sidecar.adapters.spool.frames import entries_in
from tests.chaos.breaking import CALLERS, POLICY
from tests.chaos.load import Callers, comes_to
from tests.faults.proxy import FaultProxy
from tests.faults.server import DURABLE, redis_node, url_of
from tests.faults.weather import Faults
from tests.processes import Sidecar

_LONGEST_S: Final = 1.5


@dataclass(slots=True)
class Killed:
    """What came of it.

    Attributes:
        torn: lines of the decision log that are not whole; a killed process may leave one behind.
        damaged: places of the spool that cannot be read, other than a torn end.
        spooled: entries that stood in the spool when a process was killed, all times together.
        leftover: files of the spool in the end.
    """

    kills: int
    answers: int
    unanswered: int
    used: tuple[int, int]
    counted: tuple[int, int]
    decisions: int
    torn: int
    damaged: int
    spooled: int
    leftover: int


async def kill_often(folder: Path, store: str, kills: int, seed: int) -> Killed:
    """Kill a server so many times; every other time its Redis is away by then.

    Args:
        store: sqlite or redis.
    """
    dice = random.Random(seed)
    policies, log, spool = folder / "policies", folder / "decisions", folder / "spool"
    policies.mkdir(parents=True)
    (policies / "policy.yaml").write_text(POLICY.format(mode="open"))
    env = {
        "SIDECAR_DECISION_LOG": str(log), "SIDECAR_SPOOL": str(spool),
        "SIDECAR_STORE_TIMEOUT_MS": "50",
    }  # fmt: skip
    spooled = damaged = 0
    with _store(folder, store) as (url, proxy):
        sidecar = Sidecar(policies=policies, store=url, cwd=folder, env=env)
        await asyncio.to_thread(sidecar.start)
        callers = Callers(lambda: sidecar.url, folder, seed)
        try:
            async with callers.calling(CALLERS) as ledger:
                for number in range(kills):
                    await asyncio.sleep(dice.uniform(0.2, _LONGEST_S))
                    if proxy is not None and number % 2:
                        proxy.inject(Faults(swallows=True))
                        await asyncio.sleep(dice.uniform(0.2, _LONGEST_S))
                    await asyncio.to_thread(sidecar.kill)
                    whole, bad = _read(spool)
                    spooled, damaged = spooled + whole, damaged + bad
                    if proxy is not None:
                        proxy.heal()
                    await asyncio.to_thread(sidecar.start)
            used = ledger.used, ledger.requests
            counted = await comes_to(sidecar.url, used)
        finally:
            sidecar.stop()
    lines = [
        line for path in decision_files(log) for line in path.read_bytes().splitlines(keepends=True)
    ]
    return Killed(
        kills=kills,
        answers=len(ledger.answers),
        unanswered=ledger.unanswered,
        used=used,
        counted=counted,
        decisions=len(lines),
        torn=sum(not _is_whole(line) for line in lines),
        damaged=damaged,
        spooled=spooled,
        leftover=len(list(spool.glob("*"))) if spool.exists() else 0,
    )


@contextmanager
def _store(folder: Path, store: str) -> Iterator[tuple[str, FaultProxy | None]]:
    if store == "sqlite":
        yield f"sqlite:///{folder / 'store.db'}", None
        return
    with redis_node(folder, DURABLE) as node, FaultProxy(url_of(node)) as proxy:
        yield proxy.url, proxy


def _read(spool: Path) -> tuple[int, int]:
    """Whole entries of a spool, and places that cannot be read and are no torn end."""
    whole = damaged = 0
    for path in spool.glob("spool-*.log"):
        entries = list(entries_in(path.read_bytes()))
        if entries and entries[-1] is None:
            entries.pop()
        whole += sum(entry is not None for entry in entries)
        damaged += entries.count(None)
    return whole, damaged


def _is_whole(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict) and line.endswith(b"\n")
    except ValueError:
        return False
