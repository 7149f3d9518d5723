"""What does each part of the server take of its CPU, of checks alone and of checks with commits?"""

import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks.contestants import Arena
from tests.benchmarks.rounds import BOTH, CHECKS, closed
from tests.benchmarks.sampled import PARTS
from tests.processes import START_S

PHASES: Final = {BOTH: "checks and commits", CHECKS: "checks alone"}


@dataclass(frozen=True, slots=True)
class Phase:
    """One kind of load.

    Attributes:
        samples: how often was looked.
        server_us: CPU of the server for a request meanwhile.
        shares: of each part in it.
    """

    samples: int
    server_us: float
    shares: Mapping[str, float]


def measure(arena: Arena, folder: Path, loads: Path, seconds: float) -> dict[str, Phase]:
    """Each phase on a server of its own; checks alone come last, for nobody commits them."""
    file = folder / "samples.json"
    server = arena.begin_sampled(file)
    closed(server, loads, 1.0)
    phases = {}
    for what in PHASES:
        os.kill(server.process, signal.SIGUSR1)
        round_ = closed(server, loads, seconds, what)
        file.unlink(missing_ok=True)
        os.kill(server.process, signal.SIGUSR2)
        counts = _written(file)
        samples = sum(counts.values())
        shares = {part: counts.get(part, 0) / samples for part in PARTS}
        phases[what] = Phase(samples, round_.server_us, shares)
    return phases


def _written(file: Path) -> dict[str, int]:
    deadline = time.monotonic() + START_S
    while not file.exists():
        assert time.monotonic() < deadline, "nothing was noted"
        time.sleep(0.01)
    counts: dict[str, int] = json.loads(file.read_text())
    return counts
