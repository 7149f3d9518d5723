"""A small world for policies: files from text, subjects, and counters that hold what one says."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

from sidecar.domain.entitlement import Entitlement
from sidecar.domain.limits import Reading
from sidecar.domain.modes import Ceiling
from sidecar.domain.request import Amounts, CheckRequest, Subject
from sidecar.domain.subscription import Status, Subscription
from sidecar.policy.diagnostics import Diagnostic, InvalidPolicies
from sidecar.policy.load import load
from sidecar.policy.prices import PriceList
from sidecar.policy.remedies import Urls
from sidecar.policy.snapshot import PolicySet
from sidecar.policy.verdict import Verdict

NOW = datetime(2026, 5, 5, 21, 30, tzinfo=UTC)
LATER = datetime(2026, 6, 1, tzinfo=UTC)
BOB = Subject("acme", "bob")


def write(directory: Path, text: str, name: str = "policy.yaml") -> Path:
    """A policy file with its header; the directory is returned."""
    header = "apiVersion: sidecar/v1\nkind: Policy\nmetadata: {name: test}\n"
    directory.joinpath(name).write_text(header + dedent(text), encoding="utf-8")
    return directory


def policies(
    directory: Path,
    text: str,
    *,
    ceiling: Ceiling = Ceiling.AS_WRITTEN,
    urls: Urls | None = None,
    prices: PriceList | None = None,
) -> PolicySet:
    """The policies of one file."""
    return load(write(directory, text), ceiling=ceiling, urls=urls, prices=prices)


def findings(path: Path) -> Sequence[Diagnostic]:
    """What is wrong with a directory."""
    try:
        load(path, ceiling=Ceiling.AS_WRITTEN)
    except InvalidPolicies as error:
        return error.diagnostics
    return ()


def ask(
    *,
    plugin: str = "",
    feature: str = "",
    model: str = "",
    action: str = "",
    tokens: int = 0,
    attributes: Mapping[str, object] | None = None,
    subject: Subject = BOB,
) -> CheckRequest:
    """A question of Bob's."""
    return CheckRequest(
        subject,
        plugin=plugin,
        feature=feature,
        model=model,
        action=action,
        estimate=Amounts(tokens=tokens, input_tokens=tokens, requests=1, concurrency=1),
        attributes=attributes or {},
    )


def subscribed(plan: str = "free", status: Status = Status.ACTIVE) -> Subscription:
    """Bob's subscription."""
    return Subscription("bob", plan=plan, status=status, updated_at=NOW)


def counters(
    entitlement: Entitlement,
    used: Mapping[str, int] | None = None,
    resets_at: datetime | None = LATER,
) -> tuple[Reading, ...]:
    """Readings of every charge; a limit that is not named was not used."""
    return tuple(
        Reading(
            charge.limit, (used or {}).get(charge.limit.id, 0), 0, charge.amount, resets_at
        )
        for charge in entitlement.charges
    )  # fmt: skip


def decide(
    rules: PolicySet,
    request: CheckRequest,
    subscription: Subscription,
    used: Mapping[str, int] | None = None,
    now: datetime = NOW,
) -> Verdict:
    """The verdict where every fact could be had."""
    entitlement = rules.resolve(subscription, request, now)
    return rules.decide(request, entitlement, counters(entitlement, used), now)


def codes(verdict: Verdict) -> list[str]:
    """The codes of its reasons, in order."""
    return [reason.code.value for reason in verdict.reasons]


def ids(verdict: Verdict) -> list[str]:
    """The ids of its reasons, in order."""
    return [reason.id for reason in verdict.reasons]
