"""How does a decision, a limit, a subscription look in JSON and in headers?"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from pydantic_core import from_json, to_json
from starlette.responses import Response

from sidecar.api.faults import MEDIA_TYPE, TYPE_PREFIX
from sidecar.domain.decision import Decision, Reason, ReasonCode, Remedy, RemedyKind
from sidecar.domain.event_log import AppLine, Backlog, LoggedEvent, SetAside
from sidecar.domain.grants import GrantBalance
from sidecar.domain.limits import Reading
from sidecar.domain.modes import Refusal
from sidecar.domain.shown import limits_shown, reasons_shown
from sidecar.domain.subscription import Subscription
from sidecar.domain.usage import Settlement
from sidecar.domain.wallet import WALLET, Wallet
from sidecar.domain.windows import Sliding
from sidecar.pdp import Overview

_WAITING_HELPS = timedelta(days=1)

_TITLES = {
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
_TOO_LARGE = "The request is larger than the limit"


def json_response(
    body: object, status: int = 200, media_type: str = "application/json"
) -> Response:
    """A JSON body that no cache keeps."""
    response = Response(to_json(body), status, media_type=media_type)
    response.headers["Cache-Control"] = "no-store"
    return response


def decision_response(decision: Decision) -> Response:
    """200 for allow and warn, the refusal's own status as a problem for deny."""
    body = decision_body(decision)
    if not decision.is_denied:
        response = json_response(body)
    else:
        response = json_response(body, decision.status, MEDIA_TYPE)
        seconds = _retry_after(decision)
        if seconds is not None:
            response.headers["Retry-After"] = str(seconds)
    response.headers.update(_rate_limit(decision))
    return response


def decision_body(decision: Decision) -> dict[str, object]:
    """The whole decision; a deny carries the members of a problem beside it."""
    reservation = decision.reservation
    body: dict[str, object] = {
        "decision_id": decision.id,
        "effect": decision.effect,
        "allowed": not decision.is_denied,
        "status": decision.status,
        "mode": decision.mode,
        "plan": decision.plan,
        "subscription_status": decision.subscription_status,
        "reasons": reasons_shown(decision.reasons),
        "would_deny": decision.would_deny,
        "limits": limits_shown(decision.readings),
        "reservation": None
        if reservation is None
        else {
            "id": reservation.id,
            "expires_at": reservation.expires_at,
            "granted": {"tokens": reservation.tokens},
        },
        "remedies": [_remedy(remedy) for remedy in decision.remedies],
        "retryable": decision.is_denied and _retry_after(decision) is not None,
        "policy": {"revision": decision.revision},
        "errors": [{"id": error.id, "message": error.message} for error in decision.errors],
        "degraded": decision.degraded,
    }
    if decision.degraded:
        body["data_age_s"] = decision.data_age_s
    if decision.is_denied:
        first = decision.reasons[0]
        body["type"] = TYPE_PREFIX + first.code
        body["title"] = _title(first, decision.readings)
        body["detail"] = first.message
        body["instance"] = f"urn:mozaiks:sidecar:decision:{decision.id}"
    return body


def _title(first: Reason, readings: Iterable[Reading]) -> str:
    if first.code is ReasonCode.STORE_UNAVAILABLE and first.id == WALLET:
        return "The balance cannot be read"
    # Where even an empty counter has no room, "used up" would send the user off to wait.
    too_large = {reading.limit.id for reading in readings if reading.never_fits}
    if first.code is ReasonCode.QUOTA_EXCEEDED and first.id in too_large:
        return _TOO_LARGE
    return _TITLES[first.code]


def settlement_body(settlement: Settlement) -> dict[str, object]:
    """A reservation after a commit or a release."""
    return {
        "reservation": {
            "id": settlement.reservation_id,
            "state": settlement.state,
            "expires_at": settlement.expires_at,
            "granted": {"tokens": settlement.tokens},
        },
        "limits": limits_shown(settlement.readings),
        "degraded": settlement.degraded,
    }


def subscription_body(state: Subscription) -> dict[str, object]:
    """A subscription as it is stored; empty values are null."""
    return {
        "app_id": state.app_id or None,
        "user_id": state.user_id,
        "plan": state.plan or None,
        "status": state.status,
        "billing_cycle": state.billing_cycle or None,
        "next_billing_date": state.next_billing_date,
        "trial_end_date": state.trial_end,
        "current_period_start": state.period_start,
        "current_period_end": state.period_end,
        "cancel_at_period_end": state.cancel_at_period_end,
        "stripe_subscription_id": state.external_id or None,
        "updated_at": state.updated_at if state.history else None,
        "metadata": state.metadata,
    }


def history_body(state: Subscription) -> dict[str, object]:
    """What was said of a subscription until now, the newest last."""
    return {
        "history": [
            {
                "updated_at": change.updated_at,
                "status": change.status,
                "plan": change.plan or None,
                "event_id": change.event_id or None,
            }
            for change in state.history
        ]
    }


def grant_body(balance: GrantBalance) -> dict[str, object]:
    """A grant and what became of its units; it is for one limit, or for those of a meter."""
    grant = balance.grant
    return {
        "limit": grant.limit or None,
        "meter": grant.meter,
        "amount": grant.amount,
        "used": balance.used,
        "held": balance.held,
        "left": balance.left,
        "revoked": balance.revoked,
        "effective_at": grant.effective_at,
        "expires_at": grant.expires_at,
        "reason": grant.reason or None,
    }


def json_line(event: LoggedEvent) -> bytes:
    """An accepted event with when it was received."""
    return to_json({"received_at": event.received_at, **from_json(event.body)}) + b"\n"


def outbox_body(
    backlog: Backlog, lines: Iterable[AppLine], refused: Iterable[SetAside], now: datetime
) -> dict[str, object]:
    """What waits for the control plane, and what it refused."""
    return {
        **_backlog_body(backlog),
        "lag_s": backlog.lag_s(now),
        "apps": [
            {
                "app_id": line.app_id,
                **_backlog_body(line.backlog),
                "first": line.first,
                "again_at": line.again_at,
                "tries": line.tries,
                "fault": line.fault or None,
            }
            for line in lines
        ],
        "refused": [
            {
                "id": each.event.id,
                "app_id": each.event.app_id,
                "status": each.status,
                "refused_at": each.at,
                "received_at": each.event.received_at,
                "event": from_json(each.event.body),
            }
            for each in refused
        ],
    }


def _backlog_body(backlog: Backlog) -> dict[str, object]:
    return {
        "waiting": backlog.waiting,
        "set_aside": backlog.set_aside,
        "oldest_at": backlog.oldest_at,
    }


def wallet_body(wallet: Wallet, reading: Reading | None) -> dict[str, object]:
    """A balance with what was spent and is held of it since it was told.

    Args:
        reading: of the limit that it is, None where nothing is held against it.
    """
    return {
        "wallet_id": wallet.name or None,
        "balance": wallet.balance,
        "currency": wallet.currency or None,
        "as_of": wallet.as_of if wallet.balance is not None else None,
        "spent": reading and reading.used,
        "held": reading and reading.reserved,
        "available": reading and reading.remaining,
    }


def overview_body(overview: Overview) -> dict[str, object]:
    """What a settings page shows."""
    entitlement, plan = overview.entitlement, overview.plan
    wallet, balance = entitlement.wallet, overview.balance
    return {
        "plan": entitlement.plan,
        "plan_name": plan and plan.name,
        "mode": entitlement.mode,
        "plugins": {
            "allow": plan.plugins_allow if plan else [],
            "deny": plan.plugins_deny if plan else [],
        },
        "features": plan.features if plan else {},
        "limits": limits_shown(overview.readings),
        "wallet": wallet_body(wallet, balance) if wallet and balance else None,
        "grants": [{"id": balance.grant.id, **grant_body(balance)} for balance in overview.grants],
        "subscription": entitlement.subscription and subscription_body(entitlement.subscription),
        "policy": {"revision": overview.revision},
    }


def _remedy(remedy: Remedy) -> dict[str, object]:
    match remedy.kind:
        case RemedyKind.UPGRADE:
            return {"type": remedy.kind, "plan": remedy.plan, "url": remedy.url}
        case RemedyKind.TOP_UP:
            return {"type": remedy.kind, "limit": remedy.limit, "url": remedy.url}
        case RemedyKind.WAIT:
            return {"type": remedy.kind, "until": remedy.until}


def _retry_after(decision: Decision) -> int | None:
    """Seconds after which the same request may pass, where that is within a day."""
    if decision.reasons[0].refusal is Refusal.UNAVAILABLE:
        return 1
    for remedy in decision.remedies:
        if remedy.until is not None and remedy.until - decision.at <= _WAITING_HELPS:
            return _seconds_until(remedy.until, decision.at)
    return None


def _seconds_until(at: datetime, now: datetime) -> int:
    return max(0, -((now - at) // timedelta(seconds=1)))


def _rate_limit(decision: Decision) -> Mapping[str, str]:
    """The fields of draft-ietf-httpapi-ratelimit-headers-10, for the limit that binds."""
    binding = _binding(decision)
    if binding is None or binding.limit.maximum is None:
        return {}
    limit = binding.limit
    policy = f'"{limit.id}";q={max(0, binding.limit.maximum)}'
    if isinstance(limit.window, Sliding):
        policy += f";w={limit.window.length_ms // 1000}"
    state = f'"{limit.id}";r={binding.remaining}'
    if binding.resets_at is not None:
        state += f";t={_seconds_until(binding.resets_at, decision.at)}"
    return {"RateLimit-Policy": policy, "RateLimit": state}


def _binding(decision: Decision) -> Reading | None:
    """The limit that refuses first, else the one with the least part of it left."""
    bounded = [reading for reading in decision.readings if reading.limit.maximum is not None]
    refusing = {reason.id for reason in decision.reasons if reason.refuses}
    for reading in bounded:
        if reading.limit.id in refusing:
            return reading
    return min(
        bounded,
        key=lambda reading: (reading.remaining or 0) / (reading.limit.maximum or 1),
        default=None,
    )
