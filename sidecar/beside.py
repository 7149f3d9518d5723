"""Work that goes on beside the answers, as long as something is open.

No defect ends it silently: it is logged, counted, and begun again, each time a little later.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Final

import structlog

Work = Callable[[], Coroutine[None, None, None]]

_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 30.0
_CALM_S: Final = 60.0
"""Work that went on for so long has got over what ended it before."""

_log = structlog.get_logger("sidecar.tasks")
_ends: Final[Counter[str]] = Counter()


def ends_of_work() -> Mapping[str, int]:
    """How often work in this process ended that should not have, by its name."""
    return dict(_ends)


@asynccontextmanager
async def beside(work: Work, name: str | None = None) -> AsyncIterator[None]:
    """Let work go on; in the end it is cancelled, and waited for."""
    task = asyncio.create_task(kept_up(work, name or _name_of(work)))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def kept_up(work: Work, name: str) -> None:
    """Begin work again whenever a defect ends it, until it returns of itself."""
    wait_s = _FIRST_WAIT_S
    while True:
        began = monotonic()
        try:
            await work()
        except Exception as error:  # noqa: BLE001  whatever it is, the work goes on
            _ends[name] += 1
            if monotonic() - began >= _CALM_S:
                wait_s = _FIRST_WAIT_S
            times = _ends[name]
            _log.error("task_ended", task=name, times=times, again_in_s=wait_s, exc_info=error)
        else:
            return
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


def _name_of(work: Work) -> str:
    return getattr(work, "__qualname__", type(work).__name__)
