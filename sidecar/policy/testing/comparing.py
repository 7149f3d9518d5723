"""Is the answer what the test expects?"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sidecar.domain.decision import Decision, RemedyKind
from sidecar.domain.limits import Reading
from sidecar.policy.snapshot import PolicySet
from sidecar.policy.testing.cases import TIMELESS, Case
from sidecar.policy.testing.format import RemainsSection
from sidecar.policy.trial import Trial

HTTP_OK = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it is expected, in words as the test file has them."""

    field: str
    expected: str
    got: str


def differences(policies: PolicySet, case: Case, trial: Trial) -> Iterator[Difference]:
    """Whatever is expected and not so, in the order of a test file's fields."""
    expect, decision = case.expect, trial.decision
    status = decision.reasons[0].refusal.value if decision.is_denied else HTTP_OK
    ids = [reason.id for reason in decision.reasons]
    message = decision.reasons[0].message if decision.reasons else ""
    if expect.effect is not None:
        yield from _unequal("effect", expect.effect.value, decision.effect.value)
    if expect.status is not None:
        yield from _unequal("status", str(expect.status), str(status))
    if expect.plan is not None:
        yield from _unequal("plan", expect.plan, decision.plan or "(none)")
    yield from _unlike("reasons", expect.reasons, ids)
    if expect.reasons_contain is not None and not set(expect.reasons_contain) <= set(ids):
        yield Difference("reasons_contain", _listed(expect.reasons_contain), _listed(ids))
    yield from _unlike("codes", expect.codes, [reason.code for reason in decision.reasons])
    yield from _unlike("would_deny", expect.would_deny, decision.would_deny)
    if expect.message is not None:
        yield from _unequal("message", repr(expect.message), repr(message))
    if expect.message_contains is not None and expect.message_contains not in message:
        yield Difference("message_contains", repr(expect.message_contains), repr(message))
    remedies = [it.kind for it in decision.remedies if it.kind is not RemedyKind.TOP_UP]
    yield from _unlike("remedies", expect.remedies, remedies)
    yield from _limits(expect.limits or {}, decision)
    if expect.overrides is not None:
        yield from _unlike("overrides", expect.overrides, _overrides(policies, case, trial))
    if expect.degraded is not None:
        yield from _unequal("degraded", _yes(expect.degraded), _yes(decision.degraded))
    if expect.errors != len(decision.errors):
        told = [f"{error.id}: {error.message}" for error in decision.errors]
        got = "; ".join([str(len(told)), *told])
        yield Difference("errors", str(expect.errors), got)


def _overrides(policies: PolicySet, case: Case, trial: Trial) -> Iterator[str]:
    """The overrides that are in force for the limits that apply."""
    charged = {charge.limit.id for charge in trial.entitlement.charges}
    for plan in policies.plans:
        if plan.id == trial.entitlement.plan:
            for limit in plan.limits:
                found = limit.overrides.find(case.request.subject, case.now or TIMELESS)
                if limit.limit.id in charged and found is not None:
                    yield found.id


def _limits(expected: dict[str, RemainsSection], decision: Decision) -> Iterator[Difference]:
    readings = {reading.limit.id: reading for reading in decision.readings}
    for name, section in expected.items():
        reading = readings.get(name)
        if reading is None:
            yield Difference(f"limits.{name}", "it applies", "it does not apply")
            continue
        for field in sorted(section.model_fields_set):
            wanted = getattr(section, field)
            yield from _unequal(
                f"limits.{name}.{field}", _units(wanted), _units(_of(reading, field))
            )


def _of(reading: Reading, field: str) -> int | None:
    if field == "limit":
        return reading.limit.maximum
    units: int | None = getattr(reading, field)
    return units


def _units(number: int | None) -> str:
    return "null" if number is None else str(number)


def _yes(value: bool) -> str:
    return "true" if value else "false"


def _unequal(field: str, expected: str, got: str) -> Iterator[Difference]:
    if expected != got:
        yield Difference(field, expected, got)


def _unlike(field: str, expected: Iterable[str] | None, got: Iterable[str]) -> Iterator[Difference]:
    """Lists are complete, their order does not matter."""
    if expected is not None:
        wanted, there = sorted(set(map(str, expected))), sorted(set(map(str, got)))
        if wanted != there:
            yield Difference(field, _listed(wanted), _listed(there))


def _listed(names: Iterable[str]) -> str:
    return f"[{', '.join(map(str, names))}]"
