"""What is the server's CPU at, by samples of its stack: for checks alone, and with commits?"""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Final

from tests.benchmarks.contestants import Arena
from tests.benchmarks.cores import begun_on, places
from tests.benchmarks.rooms import PARTS, POLICY, counted, entered
from tests.benchmarks.rounds import BOTH, CHECKS, closed

PHASES: Final = {BOTH: "checks and commits", CHECKS: "checks alone"}
_A_SECOND: Final = 250
_SAMPLER: Final = Path(sys.executable).with_name("py-spy")


@dataclass(frozen=True, slots=True)
class Phase:
    """One kind of load.

    Attributes:
        samples: how often was looked while it worked.
        server_us: CPU of the server for a request meanwhile.
        redis_us: CPU of its Redis.
        shares: of each part in the server's.
        ways: shares of what policy was entered for.
    """

    samples: int
    server_us: float
    redis_us: float
    shares: Mapping[str, float]
    ways: Mapping[str, float] = field(default_factory=dict)

    def error(self, part: str) -> float:
        """By how much a share may be wrong, in two of three cases, for want of samples."""
        share = self.shares[part]
        return sqrt(share * (1 - share) / self.samples)


def measure(arena: Arena, folder: Path, loads: Path, seconds: float) -> dict[str, Phase]:
    """Each phase; checks alone come last, for nobody commits them."""
    file = folder / "stacks.txt"
    server = arena.begin_observable()
    closed(server, loads, 1.0)
    phases = {}
    for what in PHASES:
        command = [str(_SAMPLER), "record", "--pid", str(server.process), "--format", "raw"]
        command += ["--rate", str(_A_SECOND), "--duration", str(max(1, round(seconds)))]
        command += ["--threads", "--function", "--full-filenames", "--output", str(file)]
        with begun_on(places().client):
            sampler = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        round_ = closed(server, loads, seconds, what)
        told, _ = sampler.communicate()
        assert sampler.returncode == 0, told.decode()
        stacks = file.read_text().splitlines()
        counts, ways = counted(stacks), entered(stacks, POLICY)
        samples = sum(counts.values())
        shares = {part: counts[part] / samples for part in PARTS}
        shares_of_ways = {name: count / samples for name, count in ways.most_common()}
        phases[what] = Phase(samples, round_.server_us, round_.redis_us, shares, shares_of_ways)
    return phases
