"""What would a candidate change? All that happened, decided once more, beside what was said."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sidecar.domain.windows import to_ms
from sidecar.policy.simulation.changes import Changes
from sidecar.policy.simulation.events import Asked, Said, Used
from sidecar.policy.simulation.order import InOrder
from sidecar.policy.simulation.remembered import Remembered
from sidecar.policy.simulation.side import CountedBy, Ids, Side, ids_of
from sidecar.policy.simulation.subscriptions import Known
from sidecar.policy.snapshot import PolicySet

_REPORTS: Final = 250_000
"""Reports of use whose ids are remembered at least."""


@dataclass(slots=True)
class Tally:
    """What was replayed.

    Attributes:
        without_answer: checks of which it is not known what was said.
        degraded: checks that were decided without a fact then; they are not compared.
        holding: checks that asked for a hold.
        ignored: reports of use that do not count, because holds or estimates do.
        duplicates: reports of use that came before.
        late: events that came too late to be put in order.
        hidden: checks with attributes that were not written down.
        granted: checks that grants helped to pay for; they are not known here.
    """

    checks: int = 0
    usage: int = 0
    holding: int = 0
    without_answer: int = 0
    degraded: int = 0
    ignored: int = 0
    duplicates: int = 0
    late: int = 0
    hidden: int = 0
    granted: int = 0
    begin: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer of a simulation.

    Attributes:
        base: the revision of the policies that the candidate stands beside; None for what was said.
        silent: ids of the candidate that never gave a reason.
        unknown_users: users of whom no subscription is known.
    """

    candidate: str
    base: str | None
    by: CountedBy
    tally: Tally
    changes: Changes
    ids: Ids
    silent: frozenset[str]
    unknown_users: int

    @property
    def without_effect(self) -> int:
        """Checks that count nothing beside some that do, because they held nothing."""
        by_holds = self.by is CountedBy.HOLDS and self.tally.holding
        return self.tally.checks - self.tally.holding if by_holds else 0

    @property
    def is_nothing_counted(self) -> bool:
        """Whether no counter can have moved: no quota was put to the test."""
        if self.by is CountedBy.ESTIMATES:
            return False
        reported = self.tally.usage if self.by is CountedBy.USAGE else 0
        return not (reported or self.tally.holding)


class Replay:
    """One candidate, beside other policies or beside what was said."""

    def __init__(
        self, candidate: PolicySet, against: PolicySet | None, by: CountedBy, known: Known
    ) -> None:
        self._candidate, self._against, self._by = candidate, against, by
        self._side = Side(candidate, by)
        self._base = None if against is None else Side(against, by)
        self._known = known
        self._tally = Tally()
        self._changes = Changes()
        self._reported = Remembered(_REPORTS)
        self._reached_ms = 0

    def run(self, events: Iterable[Asked | Used]) -> Outcome:
        """Replay everything."""
        ordered, tally = InOrder(events), self._tally
        for event in ordered:
            at = event.at
            tally.begin = at if tally.begin is None else min(tally.begin, at)
            tally.end = at if tally.end is None else max(tally.end, at)
            # Time never goes back: what comes late is decided as if it were asked now.
            self._reached_ms = max(self._reached_ms, to_ms(at))
            match event:
                case Asked():
                    self._ask(event)
                case Used():
                    self._use(event)
        tally.late = ordered.late
        ids = ids_of(self._candidate)
        return Outcome(
            candidate=self._candidate.revision,
            base=None if self._against is None else self._against.revision,
            by=self._by,
            tally=tally,
            changes=self._changes,
            ids=ids,
            silent=(ids.limits | ids.rules) - self._side.spoke,
            unknown_users=self._known.unknown,
        )

    def _ask(self, asked: Asked) -> None:
        tally, subject = self._tally, asked.request.subject
        tally.checks += 1
        tally.holding += asked.request.reserve
        tally.hidden += asked.hidden
        tally.granted += any(limit.get("granted") for limit in asked.limits)
        subscription = self._known.of(subject, asked.subscription)
        said = self._side.decide(asked, subscription, self._reached_ms)
        self._changes.effects[said.effect] += 1
        base = self._base_of(asked)
        if self._base is not None:
            base = self._base.decide(asked, subscription, self._reached_ms)
        if base is not None:
            self._changes.add(base, said, subject, asked.at)

    def _base_of(self, asked: Asked) -> Said | None:
        """What was said then, where it can be compared."""
        if self._base is not None:
            return None
        if asked.said is None:
            self._tally.without_answer += 1
            return None
        if asked.degraded:
            self._tally.degraded += 1
            return None
        return asked.said

    def _use(self, used: Used) -> None:
        tally, subject = self._tally, used.event.request.subject
        tally.usage += 1
        if self._by is not CountedBy.USAGE:
            tally.ignored += 1
            return
        if not self._reported.add((subject.app_id, used.event.id)):
            tally.duplicates += 1
            return
        subscription = self._known.of(subject, None)
        for side in (self._side, self._base):
            if side is not None:
                side.use(used, subscription, self._reached_ms)
