"""How does the runtime's own subscription manager describe a subscription?"""

from datetime import UTC, datetime
from typing import Any

from sidecar.client.answers import Entitlement


def subscription_of(user_id: str, entitlement: Entitlement) -> dict[str, Any]:
    """A user's subscription; the plan is the one in effect, be it by default."""
    told = entitlement.subscription
    if told is None or told.get("status") in (None, "none"):
        return {"user_id": user_id, "plan": entitlement.plan, "status": "inactive"}
    status, ends = told.get("status"), told.get("trial_end_date")
    is_trial = status == "trialing"
    return {
        "user_id": user_id,
        "plan": entitlement.plan,
        "billing_cycle": told.get("billing_cycle") or "monthly",
        "status": status,
        "is_trial": is_trial,
        "trial_info": _trial(ends) if is_trial and ends else None,
        "next_billing_date": told.get("next_billing_date"),
        "updated_at": told.get("updated_at"),
    }


def _trial(ends: str) -> dict[str, Any]:
    left = datetime.fromisoformat(ends) - datetime.now(UTC)
    return {"days_remaining": max(0, left.days), "end_date": ends}
