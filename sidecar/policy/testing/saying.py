"""What did the policies say in an answer, with which numbers, and where do they say it?"""

from collections.abc import Iterator, Mapping

from sidecar.domain.decision import Decision
from sidecar.domain.limits import Reading
from sidecar.policy.compiled import Origin
from sidecar.policy.snapshot import PolicySet
from sidecar.policy.testing.report import Said


def said_by(policies: PolicySet, decision: Decision) -> Iterator[Said]:
    """The reasons of an answer, in its order."""
    places = _places(policies, decision.plan)
    readings = {reading.limit.id: reading for reading in decision.readings}
    for reason in decision.reasons:
        reading = readings.get(reason.id)
        origin = places.get(reason.id)
        yield Said(
            id=reason.id,
            code=reason.code.value,
            effect=reason.effect.value,
            mode=reason.mode.value,
            message=reason.message,
            numbers="" if reading is None else numbers(reading),
            where="" if origin is None else f"{origin.file}:{origin.line}",
        )


def numbers(reading: Reading) -> str:
    """`used 9,800 + 500 > 10,000`: what is asked beside what there is."""
    limit = reading.limit
    taken = f"used {reading.used:,}"
    taken += f" + reserved {reading.reserved:,}" if reading.reserved else ""
    bound = "unlimited" if limit.maximum is None else f"{limit.maximum:,}"
    bound += f" + granted {reading.granted:,}" if reading.granted else ""
    if not reading.requested:
        return f"{taken} of {bound}"
    sign = ">" if reading.is_exceeded else "≤"
    return f"{taken} + {reading.requested:,} {sign} {bound}"


def _places(policies: PolicySet, plan_id: str | None) -> Mapping[str, Origin]:
    places: dict[str, Origin] = {}
    for plan in policies.plans:
        if plan.id == plan_id:
            places |= {f"{plan.id}.{what}": plan.origin for what in ("plugins", "features")}
            places |= {limit.limit.id: limit.origin for limit in plan.limits}
            places |= {rule.id: rule.origin for rule in plan.rules}
    return places
