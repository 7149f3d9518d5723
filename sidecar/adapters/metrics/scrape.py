"""What is told to a scrape: what was counted, and how things stand just now.

What others count for themselves is looked at now and then, and before each scrape of this process.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from typing import Final

from sidecar.adapters.metrics.cells import Place, Row
from sidecar.adapters.metrics.exposition import exposed
from sidecar.adapters.metrics.instruments import Instruments
from sidecar.beside import beside

Facts = Callable[[], Iterator[Place]]
Look = Callable[[], None]

_LOOK_S: Final = 1.0


class Scrape:
    """Everything that was counted, of all workers.

    Args:
        looks: each notes how something stands.
        facts: what is told with a 1, because it is its labels that tell.
    """

    def __init__(self, instruments: Instruments, looks: Sequence[Look], facts: Facts) -> None:
        self._instruments = instruments
        self._looks = looks
        self._facts = facts

    def text(self) -> str:
        """As Prometheus reads it."""
        self._look()
        facts = (Row(place, [1], is_live=True) for place in self._facts())
        return exposed(chain(self._instruments.cells.rows(), facts))

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Let others see how this process stands, as long as it is open."""
        async with beside(self._keep_looking):
            yield

    def _look(self) -> None:
        for look in self._looks:
            look()

    async def _keep_looking(self) -> None:
        while True:
            self._look()
            await asyncio.sleep(_LOOK_S)
