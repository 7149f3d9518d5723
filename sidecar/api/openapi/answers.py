"""What is answered? The shape of every body, beside those that a failure has."""

from typing import Final

from pydantic import TypeAdapter

from sidecar.api.openapi.problems import PROBLEM_MEMBERS
from sidecar.api.openapi.reports import report_schemas
from sidecar.api.openapi.schema import (
    ANYTHING,
    COUNT,
    INSTANT,
    TEXT,
    TRUTH,
    WHOLE,
    Schema,
    by_name,
    listed,
    one_of,
    or_null,
    ref,
    shape,
    told,
)
from sidecar.domain.decision import Effect, ReasonCode
from sidecar.domain.explanation import Explanation
from sidecar.domain.grants import GrantOutcome
from sidecar.domain.limits import Dimension
from sidecar.domain.modes import Mode
from sidecar.domain.request import MeterKind
from sidecar.domain.subscription import HISTORY_LENGTH, Status, SyncOutcome
from sidecar.domain.usage import ReservationState

_POLICY: Final = shape({"revision": told(TEXT, "Of the policies that decided.")})
_ERRORS: Final = listed(shape({"id": TEXT, "message": TEXT}))
_URL: Final = told(or_null(TEXT), "Where a setting says who sells it.")

_REASON: Final = shape(
    {
        "code": one_of(ReasonCode),
        "id": told(TEXT, "Of the limit or rule, else `<plan>.plugins`, `subscription` and such."),
        "effect": one_of(Effect),
        "mode": told(one_of(Mode), "What the reason says is only done under `enforce`."),
        "message": TEXT,
    }
)
_LIMIT: Final = shape(
    {
        "id": TEXT,
        "meter": one_of(MeterKind),
        "window": TEXT,
        "per": listed(one_of(Dimension)),
        "limit": told(
            or_null(WHOLE), "null where there is no bound; below 0 for a wallet that is overdrawn."
        ),
        "granted": told(COUNT, "Units beside the plan's that are left."),
        "used": COUNT,
        "reserved": COUNT,
        "requested": COUNT,
        "remaining": told(or_null(COUNT), "Before what is requested."),
        "resets_at": or_null(INSTANT),
    }
)
_REMEDY: Final[Schema] = {
    "anyOf": [
        shape({"type": {"const": "upgrade"}, "plan": or_null(TEXT), "url": _URL}),
        shape({"type": {"const": "top_up"}, "limit": or_null(TEXT), "url": _URL}),
        shape({"type": {"const": "wait"}, "until": or_null(INSTANT)}),
    ]
}
_HOLD: Final = {"id": TEXT, "expires_at": INSTANT, "granted": shape({"tokens": COUNT})}
_SETTLED: Final = {
    "id": TEXT,
    "state": one_of(ReservationState),
    "expires_at": or_null(INSTANT),
    "granted": shape({"tokens": or_null(COUNT)}),
}
_DECISION: Final[dict[str, Schema]] = {
    "decision_id": TEXT,
    "effect": one_of(Effect),
    "allowed": TRUTH,
    "status": told(WHOLE, "200, or of the refusal."),
    "mode": one_of(Mode),
    "plan": or_null(TEXT),
    "subscription_status": told(TEXT, "`unavailable` where it could not be had."),
    "reasons": listed(ref("Reason")),
    "would_deny": told(listed(TEXT), "Ids of what would refuse, were it enforced."),
    "limits": listed(ref("Limit")),
    "reservation": or_null(shape(_HOLD)),
    "remedies": listed(ref("Remedy")),
    "retryable": told(TRUTH, "Whether the same request may pass within a day."),
    "policy": _POLICY,
    "errors": told(_ERRORS, "Rules that could not be evaluated."),
    "degraded": told(TRUTH, "Whether a fact was missing and a failure mode spoke for it."),
    "data_age_s?": told(
        {"type": ["number", "null"], "minimum": 0},
        "Where one was: how old the readings are by which it was decided, in seconds; null "
        "where nothing was remembered.",
    ),
}
_SUBSCRIPTION: Final[dict[str, Schema]] = {
    "app_id": told(or_null(TEXT), "null where it holds for every app of the user."),
    "user_id": TEXT,
    "plan": or_null(TEXT),
    "status": one_of(Status),
    "billing_cycle": or_null(TEXT),
    "next_billing_date": or_null(INSTANT),
    "trial_end_date": or_null(INSTANT),
    "current_period_start": or_null(INSTANT),
    "current_period_end": or_null(INSTANT),
    "cancel_at_period_end": TRUTH,
    "stripe_subscription_id": or_null(TEXT),
    "updated_at": or_null(INSTANT),
    "metadata": ANYTHING,
}
_OWN_SUBSCRIPTION: Final = {
    name: of
    for name, of in _SUBSCRIPTION.items()
    if name not in ("stripe_subscription_id", "metadata")
}
_HISTORY: Final = told(
    listed(
        shape(
            {
                "updated_at": INSTANT,
                "status": one_of(Status),
                "plan": or_null(TEXT),
                "event_id": or_null(TEXT),
            }
        )
    ),
    f"What was pushed, late arrivals too, by `updated_at`; at most the last {HISTORY_LENGTH}.",
)
_GRANT: Final[dict[str, Schema]] = {
    "limit": told(or_null(TEXT), "The one limit that draws it."),
    "meter": told(or_null(one_of(MeterKind)), "Else the limits of a meter."),
    "amount": COUNT,
    "used": COUNT,
    "held": COUNT,
    "left": COUNT,
    "revoked": TRUTH,
    "effective_at": INSTANT,
    "expires_at": or_null(INSTANT),
    "reason": or_null(TEXT),
}
_WALLET: Final[dict[str, Schema]] = {
    "wallet_id": or_null(TEXT),
    "balance": told(or_null(WHOLE), "As it was told; null where it never was."),
    "currency": or_null(TEXT),
    "as_of": or_null(INSTANT),
    "spent": told(or_null(COUNT), "Since then; null where the plan has no wallet."),
    "held": told(or_null(COUNT), "By reservations."),
    "available": told(or_null(COUNT), "What is left of it."),
}
_WARNINGS: Final = told(listed(TEXT), "Why it has no effect as things are.")
_CHECKED_ERROR: Final = shape({"status": WHOLE, "message": TEXT})

_ENTITLEMENTS: Final[dict[str, Schema]] = {
    "app_id": TEXT,
    "user_id": TEXT,
    "plan": or_null(TEXT),
    "plan_name": or_null(TEXT),
    "mode": one_of(Mode),
    "plugins": shape({"allow": listed(TEXT), "deny": listed(TEXT)}),
    "features": by_name(TRUTH),
    "limits": listed(ref("Limit")),
    "wallet": told(or_null(shape(_WALLET)), "null where the plan has none."),
    "grants": listed(shape({"id": TEXT} | _GRANT)),
    "subscription": or_null(ref("Subscription")),
    "policy": _POLICY,
}


def answer_schemas() -> dict[str, Schema]:
    """The components that answers are made of."""
    pushed = {name: of for name, of in _SUBSCRIPTION.items() if name != "status"}
    passed_on = ("limits", "would_deny", "reservation", "remedies", "errors", "degraded", "policy")
    return {
        **_explanation(),
        **report_schemas(),
        "Reason": _REASON,
        "Limit": _LIMIT,
        "Remedy": _REMEDY,
        "Decision": shape(_DECISION),
        "Refusal": shape(
            _DECISION | PROBLEM_MEMBERS | {"instance": told(TEXT, "The decision, as a URN.")},
            "A decision that denies; it is a problem too.",
        ),
        "Decisions": shape(
            {
                "decisions": listed(
                    {"anyOf": [ref(each) for each in ("Refusal", "Decision", "Fault")]}
                )
            }
        ),
        "Settlement": shape(
            {
                "reservation": shape(_SETTLED),
                "limits": listed(ref("Limit")),
                "degraded": told(
                    TRUTH, "Whether it is kept, and done when the store is back; then no limits."
                ),
            }
        ),
        "Entitlements": shape(_ENTITLEMENTS),
        "OwnEntitlements": shape(
            _ENTITLEMENTS
            | {
                "limits": told(listed(ref("Limit")), "Those that the user shares with nobody."),
                "subscription": or_null(shape(_OWN_SUBSCRIPTION)),
                "remedies": told(listed(ref("Remedy")), "Where there is more to be had."),
            }
        ),
        "GivenPortalToken": shape(
            {
                "token": told(TEXT, "For a browser, as `Authorization: Bearer`."),
                "expires_at": INSTANT,
                "url": told(TEXT, "The page with the token behind a `#`, which no server sees."),
            }
        ),
        "Subscription": shape(_SUBSCRIPTION),
        "SubscriptionTold": shape(_SUBSCRIPTION | {"history?": _HISTORY}),
        "SubscriptionSynced": shape(
            {
                "status": told(one_of(SyncOutcome), "What the push did."),
                **pushed,
                "subscription_status": one_of(Status),
                "warnings": _WARNINGS,
            },
            "What is stored after the push.",
        ),
        "GrantSynced": shape(
            {
                "status": one_of(GrantOutcome),
                "grant_id": TEXT,
                "app_id": TEXT,
                "user_id": TEXT,
                **_GRANT,
            }
            | {"warnings": _WARNINGS}
        ),
        "WalletSynced": shape(
            {"status": one_of(SyncOutcome), "app_id": TEXT, "user_id": TEXT}
            | _WALLET
            | {"warnings": _WARNINGS}
        ),
        "ManifestSynced": shape(
            {
                "status": one_of(SyncOutcome),
                "app_id": TEXT,
                "synced_at": INSTANT,
                "previous_tier": or_null(TEXT),
                "new_tier": or_null(TEXT),
                "error": {"type": "null"},
                "warnings": _WARNINGS,
            }
        ),
        "CheckoutPage": shape({"checkoutUrl": TEXT, "sessionId": or_null(TEXT)}),
        "Requested": shape({"status": {"const": "requested"}}),
        "EvaluationAnswer": shape(
            {
                "decision": TRUTH,
                "context": {
                    "anyOf": [
                        shape(
                            {
                                "decision_id": TEXT,
                                "status": WHOLE,
                                "plan": or_null(TEXT),
                                "warnings": listed(
                                    shape({"code": TEXT, "id": TEXT, "message": TEXT})
                                ),
                                "reason_admin?": by_name(TEXT),
                                "reason_user?": by_name(TEXT),
                            }
                            | {name: _DECISION[name] for name in passed_on}
                        ),
                        shape({"error": _CHECKED_ERROR}),
                    ]
                },
            }
        ),
        "EvaluationAnswers": shape({"evaluations": listed(ref("EvaluationAnswer"))}),
        "Explained": shape(
            {
                "decision": {"anyOf": [ref("Refusal"), ref("Decision")]},
                "explanation": ref("Explanation"),
            }
        ),
    }


def _explanation() -> dict[str, Schema]:
    """Of the values that explain; a place is written as `file:line:column`."""
    schema = TypeAdapter(Explanation).json_schema(
        mode="serialization", ref_template="#/components/schemas/{model}"
    )
    parts: dict[str, Schema] = {**schema.pop("$defs"), "Explanation": schema}
    parts["Place"] = told(TEXT, "`file:line` or `file:line:column`.")
    for part in parts.values():
        part.pop("title", None)
        description = part.get("description", "")
        part["description"] = description.partition("\n")[0]
        for each in part.get("properties", {}).values():
            each.pop("title", None)
    return parts
