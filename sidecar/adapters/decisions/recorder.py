"""Decisions for support: in memory those that were not simply allowed, in files what is sampled.

Whoever decides only appends to a queue; a task beside it does the rest. What the queue or the disk
cannot take is lost and counted, and no answer waits for it.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any, Final

from sidecar.adapters.decisions.files import Series
from sidecar.adapters.decisions.finding import Wanted, decision_in, find, latest, latest_in
from sidecar.adapters.decisions.lines import Lines
from sidecar.adapters.decisions.sample import is_sampled
from sidecar.adapters.decisions.writer import Losses, Writer
from sidecar.domain.decision import Effect
from sidecar.ports import Checked

QUEUE: Final = 10_000
RECENT: Final = 2_000
_WORDS_PART: Final = 0.05
"""Of all time, for asking limits and rules again what they saw: a flood of refusals has to wait."""
_WORDS_SAVED_S: Final = 0.5
_TICK_S: Final = 0.1
_SLICE_S: Final = 0.002
"""How long writing them down keeps others waiting at a time."""
_PATIENCE_S: Final = 3.0


class RecordedDecisions:
    """Records decisions, and finds them again.

    Args:
        series: where this process writes, None for nowhere.
        folder: where all processes do.
        allows: the part of users whose allows are written too; without files there are none.
    """

    def __init__(
        self, lines: Lines, series: Series | None, folder: Path | None, allows: float
    ) -> None:
        self._lines = lines
        self._folder = folder
        self._allows = allows if series is not None else 0.0
        self._queue: deque[Checked] = deque()
        self._recent: OrderedDict[str, bytes] = OrderedDict()
        self._words_s, self._counted_at = _WORDS_SAVED_S, monotonic()
        self._searching = asyncio.Lock()
        self._losses = Losses()
        self._writer = None if series is None else Writer(series, self._losses)

    @property
    def is_in_files(self) -> bool:
        """Whether there are files in which those of all processes are found."""
        return self._folder is not None

    @property
    def lost(self) -> int:
        """Decisions that are in no file, though they should be."""
        return self._losses.count

    @property
    def written(self) -> int:
        """Decisions that this process has written to files."""
        return 0 if self._writer is None else self._writer.written

    @property
    def waiting(self) -> int:
        """Decisions that are still to be written."""
        return len(self._queue) + (0 if self._writer is None else len(self._writer))

    def record(self, checked: Checked) -> None:
        """Note one decision."""
        allows = self._allows
        if _is_allowed(checked) and not (
            allows and (allows >= 1 or is_sampled(checked.request.subject, allows))
        ):
            return
        if len(self._queue) >= QUEUE:
            self._losses.add(1, "more decisions than can be written")
            return
        self._queue.append(checked)

    def unknown_model(self, model: str) -> None:
        """It is told elsewhere."""

    # -- finding ----------------------------------------------------------------------------

    async def find(self, decision_id: str) -> Mapping[str, Any] | None:
        """A decision by its id, None where it is not known, or not any more."""
        await self._take_in()
        recent = self._recent.get(decision_id)
        if recent is not None:
            return decision_in(recent)
        for line in () if self._writer is None else self._writer:
            decision = decision_in(line)
            if decision is not None and decision["decision_id"] == decision_id:
                return decision
        if self._folder is None or not decision_id.startswith("dec_"):
            return None
        # One after the other: an id that nobody knows is looked for in all that there is.
        async with self._searching:
            return await asyncio.to_thread(find, self._folder, decision_id)

    async def latest(
        self, app_id: str, user_id: str, effect: str, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        """The latest decisions of an app, a user, an effect; empty text is any."""
        await self._take_in()
        wanted = Wanted(app_id, user_id, effect)
        found: dict[str, Mapping[str, Any]] = {}
        for decision in latest_in(reversed(self._recent.values()), wanted, limit):
            found[decision["decision_id"]] = decision
        if self._folder is not None:
            async with self._searching:
                for decision in await asyncio.to_thread(latest, self._folder, wanted, limit):
                    found.setdefault(decision["decision_id"], decision)
        return sorted(found.values(), key=_at, reverse=True)[:limit]

    # -- writing ----------------------------------------------------------------------------

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Write while this is open, and the rest in the end."""
        ending = asyncio.Event()
        task = asyncio.create_task(self._keep_writing(ending))
        try:
            yield
        finally:
            ending.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(task, _PATIENCE_S)

    async def _keep_writing(self, ending: asyncio.Event) -> None:
        while not ending.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), _TICK_S)
            try:
                await self._write()
            except Exception as error:  # noqa: BLE001  a defect may not end what others need
                self._losses.add(0, f"a defect: {error!r}")
        # What came while the last lines were being written.
        await self._take_in()
        if self._writer is not None:
            await self._writer.close()
        self._losses.sum_up()

    async def _write(self) -> None:
        await self._take_in()
        if self._writer is not None:
            await self._writer.write()
        else:
            self._losses.end()

    async def _take_in(self) -> None:
        """Turn what was decided into lines."""
        until = monotonic() + _SLICE_S
        while self._queue:
            checked = self._queue.popleft()
            try:
                line = self._line(checked)
            except Exception as error:  # noqa: BLE001  one that cannot be written stops no other
                self._losses.add(1, f"a decision cannot be written: {error!r}")
                continue
            if not _is_allowed(checked):
                self._recent[checked.decision.id] = line
                if len(self._recent) > RECENT:
                    self._recent.popitem(last=False)
            if self._writer is not None:
                self._writer.keep(line)
            if monotonic() >= until:
                await asyncio.sleep(0)
                until = monotonic() + _SLICE_S

    def _line(self, checked: Checked) -> bytes:
        if _is_allowed(checked):
            return self._lines.line(checked, with_words=False)
        began = monotonic()
        self._words_s += (began - self._counted_at) * _WORDS_PART
        self._words_s = min(self._words_s, _WORDS_SAVED_S)
        line = self._lines.line(checked, with_words=self._words_s > 0)
        self._counted_at = monotonic()
        self._words_s -= self._counted_at - began
        return line


def _is_allowed(checked: Checked) -> bool:
    """Whether there is nothing to say of it."""
    return checked.decision.effect is Effect.ALLOW and not checked.decision.degraded


def _at(decision: Mapping[str, Any]) -> str:
    return str(decision["at"])
