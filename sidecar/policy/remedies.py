"""What would help against a refusal?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote

from sidecar.domain.decision import Effect, Reason, ReasonCode, Remedy, RemedyKind
from sidecar.domain.entitlement import Entitlement
from sidecar.domain.limits import Charge, Reading
from sidecar.domain.modes import Refusal
from sidecar.domain.request import CheckRequest, Subject
from sidecar.domain.subscription import Standing
from sidecar.domain.wallet import WALLET
from sidecar.policy.compiled import CompiledPlan
from sidecar.policy.entitling import entitle
from sidecar.policy.verdict import Verdict, judge


@dataclass(frozen=True, slots=True)
class Urls:
    """Where users are sent: templates with `{app_id}` and `{user_id}`.

    Attributes:
        upgrade: for another plan, with `{plan}`.
        top_up: for further units, with `{limit}`; without it nobody is known to sell any.
    """

    upgrade: str | None = None
    top_up: str | None = None

    def upgrade_to(self, plan: str, subject: Subject) -> str | None:
        """Where a subject gets another plan, None where nobody said so."""
        return _filled(self.upgrade, subject, {"{plan}": plan})

    def top_up_of(self, limit: str, subject: Subject) -> str | None:
        """Where a subject gets further units of a limit, None where nobody said so."""
        return _filled(self.top_up, subject, {"{limit}": limit})


def remedies(
    verdict: Verdict,
    plans: Iterable[CompiledPlan],
    request: CheckRequest,
    entitlement: Entitlement,
    readings: Sequence[Reading],
    now: datetime,
    urls: Urls,
) -> tuple[Remedy, ...]:
    """Another plan, further units, or time, where they would help.

    Args:
        plans: those that can be had, in file order.
        readings: of the charges of the entitlement, as far as they could be had.
    """
    found = []
    subject = request.subject
    upgrade = _upgrade(plans, request, entitlement, readings, now)
    if upgrade is not None:
        url = urls.upgrade_to(upgrade, subject)
        found.append(Remedy(RemedyKind.UPGRADE, plan=upgrade, url=url))
    for limit in _short_of_units(verdict, readings):
        # A balance is filled somewhere, even if nobody said where.
        if urls.top_up is not None or limit == WALLET:
            url = urls.top_up_of(limit, subject)
            found.append(Remedy(RemedyKind.TOP_UP, limit=limit, url=url))
    until = _wait(verdict, readings)
    if until is not None:
        found.append(Remedy(RemedyKind.WAIT, until=until))
    return tuple(found)


def _upgrade(
    plans: Iterable[CompiledPlan],
    request: CheckRequest,
    entitlement: Entitlement,
    readings: Sequence[Reading],
    now: datetime,
) -> str | None:
    """The first plan in file order that would let the request through.

    A counter does not belong to a plan, so the readings at hand serve for every plan; one
    that was not read is taken to be empty.
    """
    subscription = entitlement.subscription
    if subscription is None:
        return None
    by_id = {reading.limit.id: reading for reading in readings}
    known = {charge.counter: by_id.get(charge.limit.id) for charge in entitlement.charges}
    for plan in plans:
        if plan.id == entitlement.plan:
            continue
        offered = entitle(
            plan, subscription, Standing.HOLDS, request, now, wallet=entitlement.wallet
        )
        expected = [_expected(charge, known.get(charge.counter)) for charge in offered.charges]
        if judge(plan, request, offered, expected, now).effect is not Effect.DENY:
            return plan.id
    return None


def _expected(charge: Charge, reading: Reading | None) -> Reading:
    if reading is None:
        return Reading(charge.limit, 0, 0, charge.amount, None)
    return replace(reading, limit=charge.limit)


def _short_of_units(verdict: Verdict, readings: Sequence[Reading]) -> Sequence[str]:
    """The limits that refuse, if further units are all that is lacking.

    A limit that answers 429 bounds a pace, which nobody buys.
    """
    by_id = {reading.limit.id: reading for reading in readings}

    def is_mended(reason: Reason) -> bool:
        if reason.code is ReasonCode.INSUFFICIENT_BALANCE:
            return True
        reading = by_id.get(reason.id)
        return (
            reason.code is ReasonCode.QUOTA_EXCEEDED
            and reason.refusal is Refusal.PAYMENT_REQUIRED
            and reading is not None
            and bool(reading.limit.scopes)
        )

    refusing = [reason for reason in verdict.reasons if reason.refuses]
    return [reason.id for reason in refusing] if all(map(is_mended, refusing)) else []


def _wait(verdict: Verdict, readings: Sequence[Reading]) -> datetime | None:
    """When every limit that refuses will have room, None if waiting does not help."""
    refusing = {reason.id for reason in verdict.reasons if reason.refuses}
    by_id = {reading.limit.id: reading for reading in readings}
    instants = []
    for name in refusing:
        reading = by_id.get(name)
        if reading is None or not reading.ends or reading.resets_at is None:
            return None
        instants.append(reading.resets_at)
    return max(instants, default=None)


def _filled(template: str | None, subject: Subject, own: Mapping[str, str]) -> str | None:
    if template is None:
        return None
    values = {"{app_id}": subject.app_id, "{user_id}": subject.user_id, **own}
    for name, value in values.items():
        template = template.replace(name, quote(value, safe=""))
    return template
