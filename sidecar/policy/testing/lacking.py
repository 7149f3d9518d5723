"""Which inputs were looked at that the test does not state?

What a caller does not send is empty, and what nobody counted is 0: a test that leaves them out
would pass for a reason that nobody wrote down. So it is an error, and says what to write. What
only chooses the requests of a limit is a warning, the time excepted: such a test is about other
limits.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from sidecar.policy.compiled import CompiledPlan, Override
from sidecar.policy.diagnostics import Diagnostic, Related, Severity
from sidecar.policy.snapshot import PolicySet
from sidecar.policy.source import Path, SourceFile
from sidecar.policy.testing.cases import TIMELESS, Case
from sidecar.policy.testing.observing import Looked, Observed
from sidecar.policy.trial import Trial

_NAMED = ("app_id", "user_id")
_OF_A_COUNTER = {"used": "used", "remaining": "used", "ratio": "used", "reserved": "reserved"}
_OPTIONAL_DATES = ("trial_end", "current_period_start", "current_period_end", "next_billing_date")
_BALANCE = "write wallet: {balance: …} under given"
_EARLY, _LATE = datetime(1971, 1, 1, tzinfo=UTC), datetime(8999, 1, 1, tzinfo=UTC)


def lacking(
    source: SourceFile, policies: PolicySet, case: Case, trial: Trial, observed: Observed
) -> Iterator[Diagnostic]:
    """An error or a warning for each input that the case should state."""
    told: set[str] = set()
    # What a rule reads too is an error, whoever reads it first.
    for looked in sorted(observed.looked, key=lambda looked: looked.chooses):
        for name, hint in _not_stated(looked, case, trial):
            if name not in told:
                told.add(name)
                yield _of_expression(source, case, looked, name, hint)
    yield from _of_time(source, policies, case, trial, is_told="now" in told)
    has_balance = any(charge.limit.base is not None for charge in trial.entitlement.charges)
    if has_balance and case.told is not None and ("wallet",) not in case.said:
        message = f"{case.name!r} states no balance, on which the plan's wallet depends"
        yield _finding(source, case, message, _BALANCE)


def _not_stated(looked: Looked, case: Case, trial: Trial) -> Iterator[tuple[str, str]]:
    """Names of what an expression read, with what to write."""
    path = looked.read.path
    match path:
        case ("now", *_):
            if case.now is None:
                yield "now", _NOW
        case ("request", str(field), *rest):
            if field not in _NAMED and not looked.read.asks and not _is_sent(case, field, rest):
                yield ".".join(("request", field, *rest)), _of_request(field, rest)
        case ("subscription", str(field), *_):
            is_stated = ("subscription",) in case.said or ("subscription", field) in case.said
            if not is_stated and field not in ("status", *_OPTIONAL_DATES) and not looked.read.asks:
                yield f"subscription.{field}", f"write {field}: under given.subscription"
        case ("wallet", *_):
            if case.told is not None and ("wallet",) not in case.said and not looked.read.asks:
                yield "wallet.balance", _BALANCE
        case ("limits", *rest):
            if case.told is not None and not looked.read.asks:
                yield from _of_limits(case, trial, rest)


def _is_sent(case: Case, field: str, rest: list[str]) -> bool:
    if field == "estimate":
        if ("request", "estimated_tokens") in case.said and rest == ["total_tokens"]:
            return True
        parts = ["input_tokens", "output_tokens"] if rest in ([], ["total_tokens"]) else rest
        return all(("request", "estimate", part) in case.said for part in parts)
    if field == "estimated_tokens" and ("request", "estimate") in case.said:
        return True
    return ("request", field) in case.said


def _of_request(field: str, rest: list[str]) -> str:
    match field:
        case "estimate":
            return "write estimate: {input_tokens: …, output_tokens: …} under check"
        case "estimated_tokens":
            return "write estimated_tokens: under check, 0 for a request that names none"
        case "attributes":
            return "write attributes: under check, {} for none"
    return f'write {field}: under check, "" for a request that names none'


def _of_limits(case: Case, trial: Trial, rest: list[str]) -> Iterator[tuple[str, str]]:
    """Counters: of one limit, or of all that apply where the expression goes through them."""
    if rest:
        names, members = [rest[0]], rest[1:2]
    else:
        names, members = [charge.limit.id for charge in trial.entitlement.charges], []
    kinds = [_OF_A_COUNTER.get(member, "") for member in members] or ["used"]
    for name in names:
        for kind in kinds:
            if kind and ("limits", name, kind) not in case.said:
                hint = f"write {kind}: {{{name}: …}} under given, 0 for nothing"
                yield f'limits["{name}"].{kind}', hint


def _of_expression(
    source: SourceFile, case: Case, looked: Looked, name: str, hint: str
) -> Diagnostic:
    condition = looked.condition
    place = condition.place(looked.read.start, looked.read.end)
    message = f"{case.name!r} does not state {name}, which the {looked.owner} reads"
    related = Related(
        condition.source.name, place.line, place.column, f"it is read here, by the {looked.owner}",
        place.length,
    )  # fmt: skip
    is_mild = looked.chooses and looked.read.path[0] != "now"
    severity = Severity.WARNING if is_mild else Severity.ERROR
    return replace(_finding(source, case, message, hint), severity=severity, related=(related,))


_NOW = 'write now: "2026-05-05T21:30:00Z" at the top of the file, or under given'


def _of_time(
    source: SourceFile, policies: PolicySet, case: Case, trial: Trial, *, is_told: bool
) -> Iterator[Diagnostic]:
    """What looks at the time without an expression: trials, grace, ends, and overrides."""
    subscription = case.subscription
    if subscription is not None and ("subscription",) not in case.said:
        now = case.now or TIMELESS

        def holds(at: datetime, since: datetime) -> object:
            held = replace(subscription, updated_at=since)
            return policies.resolve(held, case.request, at).standing

        is_since_said = ("subscription", "status_since") in case.said
        since = subscription.updated_at
        if not is_since_said and holds(now, _EARLY) is not holds(now, now):
            status = subscription.status.value
            message = (
                f"{case.name!r} does not state since when the status is {status}, "
                "on which it depends whether the plan holds"
            )
            hint = "write status_since: under given.subscription"
            yield _finding(source, case, message, hint)
        if case.now is None and not is_told and holds(_EARLY, since) is not holds(_LATE, since):
            message = f"{case.name!r} states no time, on which the subscription depends"
            yield _finding(source, case, message, _NOW)
            is_told = True
    plan = next((plan for plan in policies.plans if plan.id == trial.entitlement.plan), None)
    if case.now is None and not is_told and plan is not None:
        for override in _dated(plan, case):
            message = f"{case.name!r} states no time, on which the override {override.id!r} depends"
            yield _finding(source, case, message, _NOW)
            return


def _dated(plan: CompiledPlan, case: Case) -> Iterator[Override]:
    """Overrides that hold for the subject at some time only."""
    subject = case.request.subject
    for limit in plan.limits:
        for sharing in limit.overrides.sharing():
            for override in sharing:
                timeless = replace(override, begins=None, ends=None)
                if timeless != override and timeless.applies(subject, TIMELESS):
                    yield override


def _finding(source: SourceFile, case: Case, message: str, hint: str) -> Diagnostic:
    path: Path = (*case.path, "name")
    return source.report("L5", message, path, hint=hint)
