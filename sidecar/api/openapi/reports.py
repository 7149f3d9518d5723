"""What is answered to whoever looks on: usage, recorded decisions, policies, health."""

from typing import Final

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
from sidecar.domain.decision import Effect
from sidecar.domain.limits import STATED
from sidecar.domain.modes import Mode
from sidecar.domain.policies import Fault, Outcome
from sidecar.domain.request import MeterKind
from sidecar.domain.standing import State
from sidecar.domain.statements import PeriodState

_USED = {
    "input_tokens": COUNT,
    "output_tokens": COUNT,
    "total_tokens": COUNT,
    "requests": COUNT,
    "estimated_cost": told(or_null(COUNT), "In millionths; null without a price file."),
}
_GROUPS = {f"{name}?": TEXT for name in ("model", "workflow", "agent", "plugin")}
_SIDE = shape({"effect": one_of(Effect), "status": WHOLE, "reasons": listed(TEXT)})

_REPORT: Final[dict[str, Schema]] = {
    "app_id": TEXT,
    "user_id": or_null(TEXT),
    "from": INSTANT,
    "to": INSTANT,
    "granularity": one_of(("hour", "day")),
    "group_by": listed(TEXT),
    "currency?": TEXT,
    "series": listed(shape({"start": INSTANT} | _GROUPS | _USED)),
    "totals": shape(_USED),
}


def report_schemas() -> dict[str, Schema]:
    """The components of reports."""
    return {
        "UsageTaken": shape(
            {
                "accepted": COUNT,
                "duplicates": COUNT,
                "rejected": listed(shape({"index": COUNT, "error": TEXT})),
                "degraded?": told(
                    {"const": True},
                    "They are kept, and counted when the store is back; who came twice is found "
                    "out then.",
                ),
            }
        ),
        "UsageReport": shape(_REPORT),
        "OwnUsageReport": shape(_REPORT | {"user_id": TEXT}),
        **_periods(),
        "RecordedDecision": _recorded(),
        "RecordedDecisions": shape(
            {
                "decisions": listed(ref("RecordedDecision")),
                "lost": told(COUNT, "Decisions that could not be written down."),
                "kept": told(
                    {"enum": ["memory", "files"]},
                    "Where these are from: the process that answers, or the decision log of all.",
                ),
            }
        ),
        **_policies(),
        "Alive": shape({"status": {"const": "ok"}}),
        "Ready": shape({"status": {"const": "ready"}, "policy": shape({"revision": TEXT})}),
        "AuthZenConfiguration": shape(
            {
                "policy_decision_point": TEXT,
                "access_evaluation_endpoint": TEXT,
                "access_evaluations_endpoint": TEXT,
            }
        ),
    }


def _periods() -> dict[str, Schema]:
    change = told(WHOLE, "May be less than nothing.")
    adjustment = {"at": INSTANT, "used": change, "granted": change, "overage": change}
    period = {
        "user_id": told(or_null(TEXT), "null for a counter that users share."),
        "limit": told(TEXT, "The id of the limit that bounds the counter."),
        "meter": one_of(MeterKind),
        "window": one_of(sorted(STATED)),
        "dimensions": told(by_name(TEXT), "What it is kept for besides, such as a model."),
        "start": INSTANT,
        "end": INSTANT,
        "closes_at": told(INSTANT, "From when on it never changes."),
        "state": one_of(PeriodState),
        "included": told(or_null(COUNT), "As last seen in the period; null without a bound."),
        "used": told(COUNT, "Without what grants paid for."),
        "granted": told(COUNT, "What grants paid for."),
        "overage": told(COUNT, "Of what was used, what lies above what is included."),
        "adjustments": told(listed(shape(adjustment)), "What came later, by the hour."),
        "warnings": listed(shape({"code": TEXT, "message": TEXT})),
    }
    return {
        "Period": shape(period),
        "Periods": shape(
            {
                "app_id": TEXT,
                "user_id": or_null(TEXT),
                "periods": listed(ref("Period")),
                "next_cursor": or_null(TEXT),
            }
        ),
    }


def _recorded() -> Schema:
    return shape(
        {
            "decision_id": TEXT,
            "at": INSTANT,
            "effect": one_of(Effect),
            "status": WHOLE,
            "mode": one_of(Mode),
            "plan": or_null(TEXT),
            "subscription_status": TEXT,
            "would_deny": listed(TEXT),
            "limits": listed(ref("Limit")),
            "request": told(ANYTHING, "What was asked, less what is hidden."),
            "subscription": told(or_null(ANYTHING), "What was known of it."),
            "wallet?": shape({"balance": or_null(WHOLE), "as_of": or_null(INSTANT)}),
            "reservation": told(or_null(TEXT), "The id of what was held."),
            "degraded": TRUTH,
            "policy": shape({"revision": TEXT}),
            "allows": told({"type": "number"}, "The part of users whose allows are recorded."),
            "hidden": told(COUNT, "How many sensitive values were left out."),
            "reasons": listed(ref("Reason")),
            "errors": listed(shape({"id": TEXT, "message": TEXT})),
            "explanation?": told(ANYTHING, "As `/v1/explain` tells it, of what decided."),
        }
    )


def _policies() -> dict[str, Schema]:
    directory = {
        "directory": TEXT,
        "revision": told(or_null(TEXT), "null while nothing has loaded."),
        "generation": COUNT,
        "loaded_at?": INSTANT,
        "mode?": one_of(Mode),
        "files?": listed(shape({"name": TEXT, "kind": TEXT, "sha256": TEXT})),
        "plans?": listed(shape({"id": TEXT, "name": TEXT, "mode": one_of(Mode)})),
        "rules?": COUNT,
        "limits?": COUNT,
        "tests?": or_null(shape({"passed": COUNT, "skipped": COUNT})),
        "rejected": told(
            or_null(ref("Rejection")), "What was refused, as long as the directory holds it."
        ),
        "last_rejected": told(or_null(ref("Rejection")), "The latest that was, once it is mended."),
    }
    compared = {
        "live_revision": TEXT,
        "shadow_revision": TEXT,
        "since": INSTANT,
        "compared": COUNT,
        "different": told(COUNT, "Decisions with another effect."),
        "left_out": COUNT,
        "effects": by_name(COUNT),
        "because": by_name(COUNT),
        "other_reasons": told(by_name(COUNT), "Decisions with the same effect and other reasons."),
        "uncounted_limits": listed(TEXT),
        "latest": listed(
            shape(
                {
                    "at": INSTANT,
                    "decision_id": TEXT,
                    "app_id": TEXT,
                    "user_id": TEXT,
                    "because": TEXT,
                    "live": _SIDE,
                    "shadow": _SIDE,
                }
            )
        ),
    }
    reloaded = {"status": one_of(Outcome), "revision": or_null(TEXT)}
    shadow = shape({**reloaded, "rejected": or_null(ref("Rejection"))})
    return {
        "Rejection": shape(rejection_members()),
        "PoliciesInForce": shape(
            {
                **directory,
                "shadow": told(
                    or_null(shape({**directory, "comparison": or_null(shape(compared))})),
                    "The candidate beside them.",
                ),
            }
        ),
        "ServerStatus": shape(
            {
                "status": told(one_of(State), "The worst of all parts."),
                "version": TEXT,
                "python": TEXT,
                "at": INSTANT,
                "started_at": INSTANT,
                "uptime_s": COUNT,
                "parts": by_name(
                    shape(
                        {
                            "state": one_of(State),
                            "note": told(or_null(TEXT), "What somebody should look at."),
                            "facts": told(by_name({}), "What there is to know, by its name."),
                        }
                    )
                ),
            }
        ),
        "Reloaded": shape({**reloaded, "generation": or_null(COUNT), "shadow": or_null(shadow)}),
    }


def rejection_members() -> dict[str, Schema]:
    """Why a directory was refused."""
    finding = shape(
        {
            "code": TEXT,
            "severity": TEXT,
            "message": TEXT,
            "file": TEXT,
            "line": COUNT,
            "column": COUNT,
            "path": or_null(TEXT),
            "hint": or_null(TEXT),
        }
    )
    return {
        "at": INSTANT,
        "reason": one_of(Fault),
        "message": TEXT,
        "diagnostics": listed(finding),
        "untold": told(COUNT, "Findings beside those that are listed."),
    }
