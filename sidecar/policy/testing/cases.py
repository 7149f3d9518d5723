"""Which single questions does a test ask? Of several users, requests or values each combination."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from math import prod

from sidecar.domain.request import Amounts, CheckRequest, Subject
from sidecar.domain.subscription import Subscription, never_synced
from sidecar.domain.told import Told
from sidecar.policy.format import Section
from sidecar.policy.source import Path
from sidecar.policy.testing.format import (
    BalanceSection,
    EstimateSection,
    ExpectSection,
    HeldSection,
    RequestSection,
    ScenarioSection,
    SuiteFile,
    UserSection,
)

MOST_CASES = 1_000
"""Of one test."""
TIMELESS = datetime(2000, 1, 1, tzinfo=UTC)
"""The time of a test that states none; whatever reads it is an error."""
_COUNTERS = ("used", "reserved", "granted")


@dataclass(frozen=True, slots=True)
class Case:
    """One request with all that is told about it, and what the answer should be.

    Attributes:
        name: of the test, with the user, request and values that make the combination.
        path: of the test in its file.
        subscription: None for one that cannot be had.
        told: None for counters that cannot be read.
        now: None where the test states no time.
        said: the inputs that the test states, `("request", "model")`, so that what is only empty
            is not taken for a statement.
        skip: why it is left out, empty where it is not.
    """

    name: str
    path: Path
    request: CheckRequest
    subscription: Subscription | None
    told: Told | None
    now: datetime | None
    said: frozenset[tuple[str, ...]]
    expect: ExpectSection
    skip: str = ""


def count_of(scenario: ScenarioSection, file: SuiteFile) -> int:
    """How many cases a test has."""
    users = len(scenario.given.users or (None,))
    requests = [file.requests[name] for name in scenario.check.requests or ()]
    own = _stated(scenario.check)
    return users * sum(
        prod(len(value) for value in {**stated, **own}.values() if isinstance(value, list))
        for stated in ([_stated(request) for request in requests] or [{}])
    )


def cases_of(scenario: ScenarioSection, path: Path, file: SuiteFile) -> Iterator[Case]:
    """The cases of a test whose names are all known."""
    given, check = scenario.given, scenario.check
    users = [(name, file.users[name]) for name in given.users or ()] or [("", UserSection())]
    requests = [(name, file.requests[name]) for name in check.requests or ()]
    for (user_name, user), (request_name, request) in product(
        users, requests or [("", RequestSection())]
    ):
        asked = _merged(_subject(user_name, user), _stated(request), _stated(check))
        lists = {name: value for name, value in asked.items() if isinstance(value, list)}
        for values in product(*lists.values()):
            parts = [scenario.name, user_name, request_name, *(str(it) or '""' for it in values)]
            yield _case(
                " › ".join(part for part in parts if part),
                path,
                {**asked, **dict(zip(lists, values, strict=True))},
                user,
                scenario,
                given.now or file.now,
            )


def _case(
    name: str,
    path: Path,
    asked: Mapping[str, object],
    user: UserSection,
    scenario: ScenarioSection,
    now: datetime | None,
) -> Case:
    given = scenario.given
    request = _request(asked)
    held = user.subscription if given.subscription is None else given.subscription
    counters = {kind: {**getattr(user, kind), **getattr(given, kind)} for kind in _COUNTERS}
    subscription, said = _subscription(held, request.subject, now or TIMELESS)
    said |= {("request", field) for field in asked}
    if isinstance(estimate := asked.get("estimate"), EstimateSection):
        said |= {("request", "estimate", field) for field in estimate.model_fields_set}
    said |= {("limits", limit, kind) for kind, told in counters.items() for limit in told}
    wallet = given.wallet or user.wallet
    if wallet is not None:
        said.add(("wallet",))
    balance = wallet.balance if isinstance(wallet, BalanceSection) else None
    told = Told(**counters, balance=balance, knows_balance=not isinstance(wallet, str))
    return Case(
        name=name,
        path=path,
        request=request,
        subscription=subscription,
        told=None if given.store else told,
        now=now,
        said=frozenset(said),
        expect=scenario.expect,
        skip=scenario.skip or "",
    )


def _stated(section: Section) -> dict[str, object]:
    """The fields of a request that a section states, in the order of the form."""
    return {
        name: value
        for name in type(section).model_fields
        if name != "requests" and (value := getattr(section, name)) is not None
    }


def _subject(name: str, user: UserSection) -> dict[str, object]:
    """Whom a request is from, as far as its user says it."""
    stated = {"app_id": user.app_id, "user_id": user.user_id or name, "tenant_id": user.tenant_id}
    return {field: value for field, value in stated.items() if value}


def _merged(*layers: Mapping[str, object]) -> dict[str, object]:
    """What is stated in all; what comes later wins, and there is one estimate."""
    merged: dict[str, object] = {}
    for layer in layers:
        for one, other in (("estimate", "estimated_tokens"), ("estimated_tokens", "estimate")):
            if one in layer:
                merged.pop(other, None)
        merged.update(layer)
    return merged


def _request(asked: Mapping[str, object]) -> CheckRequest:
    fields = dict(asked)
    names = ("app_id", "user_id", "tenant_id")
    subject = Subject(*(str(fields.pop(name, "")) for name in names))
    tokens, estimate = fields.pop("estimated_tokens", 0), fields.pop("estimate", None)
    amounts = Amounts(tokens=tokens, requests=1, concurrency=1)  # type: ignore[arg-type] # the form says that it is a number
    if isinstance(estimate, EstimateSection):
        amounts = Amounts(
            tokens=estimate.input_tokens + estimate.output_tokens,
            input_tokens=estimate.input_tokens,
            output_tokens=estimate.output_tokens,
            requests=1,
            concurrency=1,
        )
    return CheckRequest(subject, estimate=amounts, **fields)  # type: ignore[arg-type] # as the form has them


def _subscription(
    held: HeldSection | str | None, subject: Subject, now: datetime
) -> tuple[Subscription | None, set[tuple[str, ...]]]:
    """The subscription, and what of it is stated; that there is none states all of it."""
    if isinstance(held, str):
        return None, set()
    if held is None:
        return never_synced(subject), {("subscription",)}
    stated = {name for name in held.model_fields_set if getattr(held, name) is not None}
    subscription = Subscription(
        user_id=subject.user_id,
        app_id=subject.app_id,
        plan=held.plan or "",
        status=held.status,
        billing_cycle=held.billing_cycle or "",
        next_billing_date=held.next_billing_date,
        trial_end=held.trial_end,
        period_start=held.current_period_start,
        period_end=held.current_period_end,
        cancel_at_period_end=bool(held.cancel_at_period_end),
        metadata=held.metadata or {},
        updated_at=held.status_since or now,
    )
    return subscription, {("subscription", name) for name in stated}
