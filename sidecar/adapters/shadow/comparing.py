"""What would a candidate have decided of a check, from the facts that were there?

Where it has a limit on a counter that was read for the answer, that reading is taken: it is of the
same instant. What it counts elsewhere has to be read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sidecar.domain.decision import Decision, Effect, Reason
from sidecar.domain.entitlement import Entitlement
from sidecar.domain.limits import Charge, Reading
from sidecar.domain.policies import Difference
from sidecar.ports import Checked, Rules, Verdict


@dataclass(frozen=True, slots=True)
class Question:
    """A check put to a candidate.

    Attributes:
        known: a reading for each charge, None where its counter was not read.
        had: whether the counters could be had at all.
    """

    checked: Checked
    rules: Rules
    entitlement: Entitlement
    known: tuple[Reading | None, ...]
    had: bool

    @property
    def unread(self) -> tuple[Charge, ...]:
        """The charges whose counters have to be read."""
        if not self.had or None not in self.known:
            return ()
        both = zip(self.entitlement.charges, self.known, strict=True)
        return tuple(charge for charge, reading in both if reading is None)

    def answered(self, read: Sequence[Reading] = ()) -> Difference | None:
        """How the candidate's decision differs from the one that was made, None if it does not.

        Args:
            read: one for each charge of `unread`.
        """
        readings = None
        if self.had:
            rest = iter(read)
            readings = tuple(reading or next(rest) for reading in self.known)
        checked = self.checked
        at = checked.decision.at
        verdict = self.rules.decide(checked.request, self.entitlement, readings, at)
        return _difference(checked, verdict)


def question(checked: Checked, rules: Rules) -> Question:
    """What a candidate says of a check before any counter is read."""
    request, decision = checked.request, checked.decision
    entitlement = rules.resolve(
        checked.subscription, request, decision.at, checked.manifest, checked.wallet
    )
    if any(not reading.is_asked for reading in decision.readings):
        # It is a run that lives on, of which only limits that it holds more of have a say.
        charges = tuple(
            replace(charge, is_asked=charge.amount > 0) for charge in entitlement.charges
        )
        entitlement = replace(entitlement, charges=charges)
    read = {reading.limit.counter(request): reading for reading in decision.readings}
    known = tuple(_as_read_for(charge, read.get(charge.counter)) for charge in entitlement.charges)
    return Question(checked, rules, entitlement, known, had=_had_readings(decision))


def _had_readings(decision: Decision) -> bool:
    """Whether the counters could be had; where there is nothing to read, they could."""
    return bool(decision.readings) or not decision.degraded


def _as_read_for(charge: Charge, reading: Reading | None) -> Reading | None:
    """What a counter held, as the reading of another limit on it.

    What grants add is told only where the other limit draws grants of the same kind; those for
    a limit by its name are taken for those of the other one.
    """
    if reading is None or (charge.limit.scopes and not reading.limit.scopes):
        return None
    granted = reading.granted if charge.limit.scopes else 0
    return replace(
        reading,
        limit=charge.limit,
        requested=charge.amount,
        is_asked=charge.is_asked,
        granted=granted,
    )


def _difference(checked: Checked, verdict: Verdict) -> Difference | None:
    decision = checked.decision
    live, shadow = decision.reasons, verdict.reasons
    if _said(live) == _said(shadow):
        # The effect follows from the reasons.
        return None
    subject = checked.request.subject
    return Difference(
        at=decision.at,
        decision_id=decision.id,
        app_id=subject.app_id,
        user_id=subject.user_id,
        because=_because(live, shadow),
        live_effect=decision.effect,
        live_status=decision.status,
        live_reasons=tuple(reason.id for reason in live),
        shadow_effect=verdict.effect,
        shadow_status=shadow[0].refusal.value if verdict.effect is Effect.DENY else 200,
        shadow_reasons=tuple(reason.id for reason in shadow),
    )


def _said(reasons: Sequence[Reason]) -> frozenset[tuple[object, ...]]:
    """What reasons say, whatever their order and their words."""
    return frozenset(
        (reason.code, reason.id, reason.effect, reason.mode, reason.refusal) for reason in reasons
    )


def _because(live: Sequence[Reason], shadow: Sequence[Reason]) -> str:
    """The first reason that only one of the two has, refusals before warnings."""
    common = _said(live) & _said(shadow)
    alone = [reason for reason in (*shadow, *live) if not _said([reason]) <= common]
    return min(alone, key=lambda reason: not reason.refuses).id
