"""Is everything that a test file names somewhere, and does each test make sense by itself?"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from sidecar.domain.decision import ReasonCode
from sidecar.domain.wallet import WALLET
from sidecar.policy.diagnostics import Diagnostic, did_you_mean
from sidecar.policy.load import Examined
from sidecar.policy.source import Path, SourceFile
from sidecar.policy.testing.cases import MOST_CASES, count_of
from sidecar.policy.testing.format import (
    CountersSection,
    HeldSection,
    RequestSection,
    ScenarioSection,
    SuiteFile,
)


@dataclass(frozen=True, slots=True)
class _Known:
    """The names that policies have."""

    plans: Collection[str]
    limits: Collection[str]
    overrides: Collection[str]
    reasons: Collection[str]

    @classmethod
    def of(cls, examined: Examined) -> "_Known":
        assert examined.policies is not None, "only tests of what loads are looked at"
        plans = examined.policies.plans
        limits = {compiled.limit.id for plan in plans for compiled in plan.limits}
        limits |= {WALLET for plan in plans if plan.wallet is not None}
        rules = {rule.id for plan in plans for rule in plan.rules}
        own = {f"{plan.id}.{what}" for plan in plans for what in ("plugins", "features")}
        overrides = {it.id for unit in examined.units for it in unit.file.overrides}
        reasons = limits | rules | own | {"subscription", "store"}
        return cls([plan.id for plan in plans], limits, overrides, reasons)


def check_references(
    source: SourceFile, file: SuiteFile, examined: Examined
) -> Iterator[Diagnostic]:
    """What a test file says of things that are not there, and tests that say too little."""
    known = _Known.of(examined)
    for name, user in file.users.items():
        path: Path = ("users", name)
        yield from _counters(source, user, path, known)
        yield from _subscription(source, user.subscription, path, known, ())
    for name, request in file.requests.items():
        yield from _estimates(source, request, ("requests", name))
    yield from _repeated_names(source, file)
    for index, scenario in enumerate(file.tests):
        path = ("tests", index)
        given = (*path, "given")
        codes = scenario.expect.codes or ()
        yield from _counters(source, scenario.given, given, known)
        yield from _subscription(source, scenario.given.subscription, given, known, codes)
        yield from _estimates(source, scenario.check, (*path, "check"))
        yield from _expected(source, scenario, (*path, "expect"), known)
        wrong = [*_fixtures(source, scenario, path, file)]
        yield from wrong or _combinations(source, scenario, path, file)


def _repeated_names(source: SourceFile, file: SuiteFile) -> Iterator[Diagnostic]:
    first: dict[str, int] = {}
    for index, scenario in enumerate(file.tests):
        path: Path = ("tests", index, "name")
        line = first.setdefault(scenario.name, source.place(path).line)
        if line != source.place(path).line:
            message = f"the test at line {line} is called {scenario.name!r} too"
            yield source.report("L3", message, path, hint="say what this one shows")


def _fixtures(
    source: SourceFile, scenario: ScenarioSection, path: Path, file: SuiteFile
) -> Iterator[Diagnostic]:
    users, requests = scenario.given.users or (), scenario.check.requests or ()
    for index, name in enumerate(users):
        yield from _unknown(source, "user", name, file.users, (*path, "given", "users", index))
    for index, name in enumerate(requests):
        where = (*path, "check", "requests", index)
        yield from _unknown(source, "request", name, file.requests, where)


def _combinations(
    source: SourceFile, scenario: ScenarioSection, path: Path, file: SuiteFile
) -> Iterator[Diagnostic]:
    check = scenario.check
    users = [file.users[name] for name in scenario.given.users or ()]
    requests = [file.requests[name] for name in check.requests or ()]
    lost = [("given", "users"), ("check", "requests")]
    if any(source.is_damaged((*path, *fixture)) for fixture in lost):
        return  # they may have said what seems to be missing
    by_users = {"app_id": all(user.app_id for user in users), "user_id": True}
    for field, of_users in by_users.items():
        said = bool(getattr(check, field)) or (bool(users) and of_users)
        said = said or (bool(requests) and all(getattr(it, field) for it in requests))
        if not said and not source.is_damaged((*path, "check", field)):
            example = f"write {field}: {'acme' if field == 'app_id' else 'bob'}"
            message = f"check lacks the field {field!r}"
            yield source.report("B2", message, (*path, "check"), hint=example, key=True)
    count = count_of(scenario, file)
    if count > MOST_CASES:
        message = f"this test has {count:,} combinations; {MOST_CASES:,} are allowed"
        yield source.report("B5", message, (*path, "name"), hint="make several tests of it")


def _counters(
    source: SourceFile, counters: CountersSection, path: Path, known: _Known
) -> Iterator[Diagnostic]:
    for kind in ("used", "reserved", "granted"):
        told: Mapping[str, int] = getattr(counters, kind)
        for name in told:
            where = (*path, kind, name)
            yield from _unknown(source, "limit", name, known.limits, where, key=True)


def _subscription(
    source: SourceFile,
    held: HeldSection | str | None,
    path: Path,
    known: _Known,
    codes: Collection[ReasonCode],
) -> Iterator[Diagnostic]:
    if not isinstance(held, HeldSection):
        return
    path = (*path, "subscription")
    if held.plan and ReasonCode.UNKNOWN_PLAN not in codes:
        yield from _unknown(source, "plan", held.plan, known.plans, (*path, "plan"))
    is_lacking = held.plan is None and held.status.value not in ("trialing", "none")
    if is_lacking and not source.is_damaged((*path, "plan")):
        hint = "write plan: and its id; only a trial may name none"
        yield source.report("B2", "subscription lacks the field 'plan'", path, hint=hint, key=True)


def _estimates(source: SourceFile, request: RequestSection, path: Path) -> Iterator[Diagnostic]:
    if request.estimate is not None and request.estimated_tokens is not None:
        hint = "estimate for input and output apart, estimated_tokens for their sum"
        message = "give estimate or estimated_tokens, not both"
        yield source.report("B2", message, (*path, "estimated_tokens"), hint=hint, key=True)


def _expected(
    source: SourceFile, scenario: ScenarioSection, path: Path, known: _Known
) -> Iterator[Diagnostic]:
    expect = scenario.expect
    if not expect.model_fields_set and not source.is_damaged(path):
        hint = "write effect: allow, warn or deny"
        yield source.report("B2", "this test expects nothing", path, hint=hint, key=True)
    if expect.plan:
        yield from _unknown(source, "plan", expect.plan, known.plans, (*path, "plan"))
    for field in ("reasons", "reasons_contain", "would_deny"):
        for index, name in enumerate(getattr(expect, field) or ()):
            where = (*path, field, index)
            yield from _unknown(source, "limit or rule", name, known.reasons, where)
    for name in expect.limits or ():
        where = (*path, "limits", name)
        yield from _unknown(source, "limit", name, known.limits, where, key=True)
    for index, name in enumerate(expect.overrides or ()):
        where = (*path, "overrides", index)
        yield from _unknown(source, "override", name, known.overrides, where)


def _unknown(
    source: SourceFile,
    kind: str,
    name: str,
    known: Collection[str],
    path: Path,
    *,
    key: bool = False,
) -> Iterator[Diagnostic]:
    if name not in known:
        hint = did_you_mean(name, known)
        yield source.report("L4", f"no {kind} {name!r}", path, hint=hint, key=key)
