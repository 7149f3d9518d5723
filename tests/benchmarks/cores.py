"""Who runs on which core, and what does it use of it?"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_TICKS_S: Final = os.sysconf("SC_CLK_TCK")
_SCHEDULED: Final = 2

Cores = frozenset[int]


@dataclass(frozen=True, slots=True)
class Places:
    """Cores for each part of a measurement.

    Attributes:
        workers: for a server of two workers.
        told: the same in words.
    """

    server: Cores
    redis: Cores
    client: Cores
    workers: Cores
    told: str

    @property
    def all(self) -> Cores:
        """All that somebody runs on."""
        return self.server | self.redis | self.client | self.workers


@cache
def places() -> Places:
    """Where everybody runs here: nobody beside the server, if there are two cores."""
    try:
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores)
    except (AttributeError, OSError) as error:
        everywhere = frozenset(range(os.cpu_count() or 1))
        return _placed(everywhere, f"nobody is pinned: {error}")
    match cores:
        case [_]:
            return _placed(frozenset(cores), "one core for all: ratios say little")
        case [first, second]:
            told = f"server on core {first}; Redis and client share core {second}"
            one, two = frozenset([first]), frozenset([second])
            return Places(one, two, two, one | two, f"{told}; two workers run on both")
        case [first, second, third]:
            told = f"server on core {first}, Redis on {second}, client on {third}"
            one, two, three = (frozenset([core]) for core in (first, second, third))
            return Places(one, two, three, one | three, f"{told}; two workers on {first}, {third}")
        case [first, second, third, fourth, *_]:
            told = f"server on core {first}, Redis on {second}, client on {third}"
            one, two, three = (frozenset([core]) for core in (first, second, third))
            both = one | {fourth}
            return Places(one, two, three, both, f"{told}; two workers on {first}, {fourth}")
    raise AssertionError("no core at all")


def _placed(everywhere: Cores, told: str) -> Places:
    return Places(everywhere, everywhere, everywhere, everywhere, told)


@contextmanager
def begun_on(cores: Cores) -> Iterator[None]:
    """Whoever is begun meanwhile runs there for good, with all its threads."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def family_of(process: int) -> set[int]:
    """A process with its children and theirs."""
    found = {process}
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            found |= family_of(int(child))
    return found


def cpu_s(process: int) -> float:
    """Seconds of processors that a process and its children have used, in the kernel too."""
    # Its clock, as clock_getcpuclockid(3) names it, is finer than the ticks of /proc.
    return sum(time.clock_gettime(~each << 3 | _SCHEDULED) for each in family_of(process))


def busy_s() -> float:
    """Seconds that all processors were busy until now, with other machines on the same host too."""
    with Path("/proc/stat").open() as file:
        user, nice, system, _, _, *interrupted = map(int, file.readline().split()[1:9])
    return (user + nice + system + sum(interrupted)) / _TICKS_S


def resident_mb(process: int) -> float:
    """Megabytes of memory that one process has in use, what it shares with others too."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1_000
    raise AssertionError(f"process {process} has gone")


def listens(process: int, port: int) -> bool:
    """Whether it is this process, or a child of it, that takes connections at a port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    sockets = {
        f"socket:[{fields[9]}]"
        for fields in map(str.split, lines)
        if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port
    }
    opened = set()
    for each in family_of(process):
        for file in Path(f"/proc/{each}/fd").iterdir():
            try:
                opened.add(str(file.readlink()))
            except FileNotFoundError:
                continue
    return bool(sockets) and sockets <= opened
