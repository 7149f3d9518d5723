"""How does a decision, a limit, a subscription look in JSON and in headers?"""

from collections.abc import Iterable
from datetime import datetime

from pydantic_core import from_json, to_json
from starlette.responses import Response

from sidecar.api.answer import Answer
from sidecar.api.faults import MEDIA_TYPE
from sidecar.api.rate_limit import rate_limit
from sidecar.api.refusals import retry_after
from sidecar.api.written import decision_json
from sidecar.domain.decision import Decision
from sidecar.domain.event_log import AppLine, Backlog, LoggedEvent, SetAside
from sidecar.domain.grants import GrantBalance
from sidecar.domain.limits import Reading
from sidecar.domain.shown import limits_shown
from sidecar.domain.subscription import Subscription
from sidecar.domain.wallet import Wallet
from sidecar.pdp import Overview


def decision_response(decision: Decision) -> Response:
    """200 for allow and warn, the refusal's own status as a problem for deny."""
    body = decision_json(decision)
    if not decision.is_denied:
        response = Answer(body)
    else:
        response = Answer(body, decision.status, MEDIA_TYPE)
        seconds = retry_after(decision)
        if seconds is not None:
            response.raw_headers.append((b"retry-after", b"%d" % seconds))
    response.raw_headers += rate_limit(decision)
    return response


def decision_body(decision: Decision) -> dict[str, object]:
    """The whole decision, for whoever takes parts of it."""
    body: dict[str, object] = from_json(decision_json(decision))
    return body


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
