"""What is the outside told of its own accord, and when is that the same thing again?"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from sidecar.domain.decision import Decision, ReasonCode
from sidecar.domain.limits import Reading
from sidecar.domain.request import CheckRequest
from sidecar.domain.shown import limits_shown
from sidecar.domain.value import value
from sidecar.domain.wallet import Wallet
from sidecar.domain.windows import Sliding

_LONGEST = timedelta(days=400)
"""Longer than any period; what never resets is told again after it."""
_DAILY = timedelta(days=1)


class NoticeKind(StrEnum):
    """What happened; the set is closed."""

    THRESHOLD_REACHED = "entitlement.threshold_reached"
    LIMIT_REACHED = "entitlement.limit_reached"
    BALANCE_LOW = "entitlement.balance_low"
    POLICY_REJECTED = "policy.rejected"


@value
class Notice:
    """Something to be told once.

    Attributes:
        occasion: what makes it the same as another; the same is not told again before `until`.
    """

    kind: NoticeKind
    occasion: str
    at: datetime
    until: datetime
    data: Mapping[str, object]


@value
class Message:
    """A notice on its way.

    Attributes:
        tries: how often it was sent without having been taken.
    """

    id: str
    body: str
    tries: int = 0


def notices_of(
    request: CheckRequest, decision: Decision, wallet: Wallet | None = None
) -> list[Notice]:
    """What a decision gives occasion to: each limit that is reached, or has reached its warning.

    Args:
        wallet: the user's, where one is known.
    """
    readings = {reading.limit.id: reading for reading in decision.readings}
    notices = []
    for reason in decision.reasons:
        reading = readings.get(reason.id)
        if reading is not None and reading.limit.base is not None:
            if wallet is not None and is_low(reading):
                notices.append(of_balance(wallet, reading, decision.at, decision.plan))
            continue
        match reason.code:
            case ReasonCode.QUOTA_EXCEEDED | ReasonCode.CONCURRENCY_EXCEEDED if reading:
                notices.append(_of_limit(NoticeKind.LIMIT_REACHED, request, decision, reading))
            case ReasonCode.QUOTA_WARNING if reading:
                notices.append(_of_limit(NoticeKind.THRESHOLD_REACHED, request, decision, reading))
    return notices


def is_low(reading: Reading) -> bool:
    """Whether less than what is low is left of a balance; what is refused is not spent."""
    warn_from = reading.limit.warn_from
    asked = 0 if reading.is_exceeded else reading.requested
    return warn_from is not None and reading.used + reading.reserved + asked >= warn_from


def of_balance(wallet: Wallet, reading: Reading, at: datetime, plan: str | None) -> Notice:
    """That a balance is low: once for each that is told, and once a day where it is asked for."""
    told = "asked for" if wallet.is_pulled else wallet.as_of.isoformat()
    occasion = (NoticeKind.BALANCE_LOW, wallet.app_id, wallet.user_id, told)
    return Notice(
        NoticeKind.BALANCE_LOW,
        "\n".join(occasion),
        at,
        at + (_DAILY if wallet.is_pulled else _LONGEST),
        {
            "app_id": wallet.app_id,
            "user_id": wallet.user_id,
            "wallet_id": wallet.name or None,
            "plan": plan,
            "balance": wallet.balance,
            "currency": wallet.currency or None,
            "as_of": wallet.as_of,
            "limit": limits_shown([reading])[0],
        },
    )


def _of_limit(
    kind: NoticeKind, request: CheckRequest, decision: Decision, reading: Reading
) -> Notice:
    limit, subject = reading.limit, request.subject
    until = decision.at + _LONGEST
    period = ""
    if isinstance(limit.window, Sliding):
        # It has no period: it is told again when a whole window has passed.
        until = decision.at + timedelta(milliseconds=limit.window.length_ms)
    elif reading.resets_at is not None:
        until = min(until, reading.resets_at)
        period = reading.resets_at.isoformat()
    threshold = 1.0
    if kind is NoticeKind.THRESHOLD_REACHED and limit.maximum:
        threshold = round((limit.warn_from or 0) / limit.maximum, 4)
    parts = (kind, subject.app_id, limit.counter(request), limit.id, threshold, period)
    return Notice(
        kind,
        "\n".join(map(str, parts)),
        decision.at,
        until,
        {
            "app_id": subject.app_id,
            "user_id": subject.user_id,
            "tenant_id": subject.tenant_id or None,
            "plan": decision.plan,
            "effect": decision.effect,
            "threshold": threshold,
            "limit": limits_shown([reading])[0],
            "decision_id": decision.id,
        },
    )
