"""How is this process doing? Its memory, files, garbage, and how late its timers are."""

import asyncio
import gc
import os
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from sidecar.adapters.metrics import catalogue
from sidecar.adapters.metrics.described import NANO
from sidecar.adapters.metrics.instruments import Histogram, Instruments
from sidecar.beside import beside, ends_of_work

_LOOK_S: Final = 0.2
_MOST_TASKS: Final = 100
_PAGE: Final = resource.getpagesize()


class ProcessFigures:
    """What the system and the interpreter say of this process."""

    def __init__(self, instruments: Instruments) -> None:
        gauge, counter = instruments.gauge, instruments.counter
        self._memory = gauge(catalogue.MEMORY)
        self._fds, self._most_fds = gauge(catalogue.FDS), gauge(catalogue.MOST_FDS)
        self._cpu = counter(catalogue.CPU)
        generations = [str(number) for number in range(len(gc.get_stats()))]
        self._garbage = [
            (
                counter(catalogue.GC_RUNS, each),
                counter(catalogue.GC_COLLECTED, each),
                counter(catalogue.GC_UNCOLLECTABLE, each),
            )
            for each in generations
        ]
        gauge(catalogue.STARTED).set(_began_ns())
        gauge(catalogue.WORKERS).set(1)
        self._tasks = instruments.by_name(
            "task", lambda name: counter(catalogue.TASK_ENDS, name), most=_MOST_TASKS
        )

    def look(self) -> None:
        """Note how it is now."""
        # Other systems than Linux do not tell.
        with suppress(OSError):
            self._memory.set(int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE)
            # One of them is this look's own.
            self._fds.set(len(os.listdir("/proc/self/fd")) - 1)  # noqa: PTH208  names are enough
        self._most_fds.set(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        for task, times in ends_of_work().items():
            self._tasks.of(task).follow(times)
        self._cpu.follow(time.process_time_ns())
        for (runs, collected, uncollectable), stats in zip(
            self._garbage, gc.get_stats(), strict=True
        ):
            runs.follow(stats["collections"])
            collected.follow(stats["collected"])
            uncollectable.follow(stats["uncollectable"])


def _began_ns() -> int:
    """When this process began, about, in nanoseconds since 1970."""
    try:
        # After the name, which may have spaces and brackets in it; proc(5), field 22.
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        since_boot_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    except OSError:
        return time.time_ns()
    lived_s = since_boot_s - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time_ns() - int(lived_s * NANO)


class LoopLag:
    """Sets itself a timer again and again, and notes how late each rings."""

    def __init__(self, seconds: Histogram) -> None:
        self._seconds = seconds

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Look as long as this is open."""
        async with beside(self._keep_looking):
            yield

    async def _keep_looking(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LOOK_S
            await asyncio.sleep(_LOOK_S)
            self._seconds.observe(max(0.0, loop.time() - due))
