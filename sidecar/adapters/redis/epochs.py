"""Has Redis lost what it had counted?"""

import time
from collections import OrderedDict
from collections.abc import Callable

import structlog

_log = structlog.get_logger("sidecar.redis")
_APPS = 100_000
_FLAGGED_S = 3_600.0


class Epochs:
    """Since when each app is counted, as the store said last.

    An epoch begins when the first thing is counted for an app. Where it is another one than
    before, or none, the store was flushed, lost its data or threw keys away; whoever asks
    within an hour is told.

    Args:
        meet: told of each app whose epoch is new.

    Attributes:
        losses: how often it happened.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        meet: Callable[[str], None] | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._meet = meet
        self._known: OrderedDict[str, str] = OrderedDict()
        self._flagged: dict[str, float] = {}
        self.losses = 0

    def see(self, app_id: str, epoch: str) -> None:
        """Note the epoch that came with an answer, empty where nothing is counted."""
        known = self._known.get(app_id)
        if known == epoch:
            return
        if known is not None:
            self.losses += 1
            self._flagged[app_id] = self._monotonic() + _FLAGGED_S
            if len(self._flagged) > _APPS:
                del self._flagged[next(iter(self._flagged))]
            _log.error(
                "counters_lost",
                app_id=app_id,
                lost="what was counted, held and granted before",
                hint="was Redis flushed, restarted without its data, or does it evict keys?",
            )
        if epoch:
            self._known[app_id] = epoch
            if self._meet is not None:
                self._meet(app_id)
            if len(self._known) > _APPS:
                self._known.popitem(last=False)
        elif known is not None:
            del self._known[app_id]

    def is_lost(self, app_id: str) -> bool:
        """Whether counters of an app were lost within the last hour."""
        if not self._flagged:
            return False
        until = self._flagged.get(app_id)
        if until is None:
            return False
        if until < self._monotonic():
            del self._flagged[app_id]
            return False
        return True
