"""What would a candidate have changed, counted and listed?

It is kept for one pair of revisions: what is said of another pair says nothing of this one. The
names that are told apart are bounded, because every one of them is kept.
"""

from collections import deque
from datetime import datetime
from typing import Final

from sidecar.domain.policies import Comparison, Difference

LISTED: Final = 200
"""Decisions that are listed, the latest ones."""
_MOST_IDS: Final = 200
_REST: Final = "*"


class Tally:
    """The comparison of one candidate with what is in force."""

    def __init__(self) -> None:
        self._begin(None, None)

    def compare(self, live_revision: str, shadow_revision: str, at: datetime) -> None:
        """Go on with decisions of these two; of another pair than before, begin anew."""
        if self._pair != (live_revision, shadow_revision):
            self._begin((live_revision, shadow_revision), at)

    def note(self, found: Difference | None) -> None:
        """Count one decision, and how it differs if it does."""
        self.compared += 1
        if found is None:
            return
        if found.live_effect is found.shadow_effect:
            _count(self._other_reasons, found.because)
            return
        self.different += 1
        _count(self._effects, f"{found.live_effect}->{found.shadow_effect}")
        _count(self._because, found.because)
        self._latest.appendleft(found)

    def leave_out(self) -> None:
        """Count a decision that is not compared."""
        self._left_out += 1

    def note_uncounted(self, limit_id: str) -> None:
        """Name a limit of the candidate whose counter was not read for the answer."""
        if len(self._uncounted) < _MOST_IDS:
            self._uncounted.add(limit_id)

    @property
    def comparison(self) -> Comparison | None:
        """What was found, None as long as there is no pair to compare."""
        if self._pair is None or self._since is None:
            return None
        return Comparison(
            *self._pair,
            since=self._since,
            compared=self.compared,
            different=self.different,
            left_out=self._left_out,
            effects=dict(self._effects),
            because=dict(self._because),
            other_reasons=dict(self._other_reasons),
            uncounted=tuple(sorted(self._uncounted)),
            latest=tuple(self._latest),
        )

    def _begin(self, pair: tuple[str, str] | None, at: datetime | None) -> None:
        self._pair = pair
        self._since = at
        self.compared = 0
        self.different = 0
        self._left_out = 0
        self._effects: dict[str, int] = {}
        self._because: dict[str, int] = {}
        self._other_reasons: dict[str, int] = {}
        self._uncounted: set[str] = set()
        self._latest: deque[Difference] = deque(maxlen=LISTED)


def _count(counts: dict[str, int], name: str) -> None:
    if name not in counts and len(counts) >= _MOST_IDS:
        name = _REST
    counts[name] = counts.get(name, 0) + 1
