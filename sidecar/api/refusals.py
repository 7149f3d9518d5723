"""What is a refusal called, and when is it worth asking again?"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from sidecar.domain.decision import Decision, Reason, ReasonCode
from sidecar.domain.limits import Reading
from sidecar.domain.modes import Refusal
from sidecar.domain.wallet import WALLET

_WAITING_HELPS: Final = timedelta(days=1)
_TITLES: Final = {
    ReasonCode.QUOTA_EXCEEDED: "The quota is used up",
    ReasonCode.QUOTA_WARNING: "The quota is nearly used up",
    ReasonCode.PLUGIN_NOT_IN_PLAN: "The plan does not include this plugin",
    ReasonCode.FEATURE_NOT_IN_PLAN: "The plan does not include this feature",
    ReasonCode.SUBSCRIPTION_INACTIVE: "There is no active subscription",
    ReasonCode.SUBSCRIPTION_EXPIRED: "The subscription has ended",
    ReasonCode.RULE_DENIED: "A rule forbids this",
    ReasonCode.RULE_WARNED: "A rule warns",
    ReasonCode.RULE_ERROR: "A rule could not be evaluated",
    ReasonCode.INSUFFICIENT_BALANCE: "The balance is too low",
    ReasonCode.CONCURRENCY_EXCEEDED: "Too many requests run at once",
    ReasonCode.STORE_UNAVAILABLE: "The usage counters cannot be read",
    ReasonCode.SUBSCRIPTION_UNAVAILABLE: "The subscription cannot be read",
    ReasonCode.UNKNOWN_PLAN: "The plan is unknown",
}
_TOO_LARGE: Final = "The request is larger than the limit"


def title(first: Reason, readings: Iterable[Reading]) -> str:
    """A refusal in a few words, by the reason that stands first."""
    if first.code is ReasonCode.STORE_UNAVAILABLE and first.id == WALLET:
        return "The balance cannot be read"
    # Where even an empty counter has no room, "used up" would send the user off to wait.
    too_large = {reading.limit.id for reading in readings if reading.never_fits}
    if first.code is ReasonCode.QUOTA_EXCEEDED and first.id in too_large:
        return _TOO_LARGE
    return _TITLES[first.code]


def retry_after(decision: Decision) -> int | None:
    """Seconds after which the same request may pass, where that is within a day."""
    if decision.reasons[0].refusal is Refusal.UNAVAILABLE:
        return 1
    for remedy in decision.remedies:
        if remedy.until is not None and remedy.until - decision.at <= _WAITING_HELPS:
            return seconds_until(remedy.until, decision.at)
    return None


def seconds_until(at: datetime, now: datetime) -> int:
    """Whole seconds, the last one begun counted; none for what is past."""
    left = at - now
    return max(0, left.days * 86_400 + left.seconds + (left.microseconds > 0))
