"""What does one glance at a running server tell? Rates, latencies, limits, and who is near them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sidecar.cli.remote import Remote
from sidecar.cli.scraped import Between, Scrape, read_scrape

_DECISIONS: Final = "50"
"""That are looked through for users who are near a limit."""
_MOST: Final = 10
_QUESTIONS: Final = 3
"""That each look asks of the server, beside one for each app."""
_TIMES: Final = {
    "decision": "entitlement_decision_duration_seconds",
    "store": "entitlement_store_operation_duration_seconds",
    "event_loop_lag": "entitlement_event_loop_lag_seconds",
}
_RATES: Final = {
    "requests": ("entitlement_http_requests_total", {}),
    "allow": ("entitlement_decisions_total", {"effect": "allow"}),
    "warn": ("entitlement_decisions_total", {"effect": "warn"}),
    "deny": ("entitlement_decisions_total", {"effect": "deny"}),
    "degraded": ("entitlement_degraded_decisions_total", {}),
    "usage_events": ("entitlement_usage_events_total", {"result": "accepted"}),
    "usage_tokens": ("entitlement_usage_tokens_total", {"result": "accepted"}),
    "store_errors": ("entitlement_store_errors_total", {}),
}


@dataclass(frozen=True, slots=True)
class Look:
    """What a server tells at an instant, of itself and of each app that was named."""

    scrape: Scrape
    status: Mapping[str, Any]
    decisions: Sequence[Mapping[str, Any]]
    apps: Sequence[Mapping[str, Any]]


def look(remote: Remote, apps: Sequence[str]) -> Look:
    """Ask a server for all of it.

    Raises:
        ConfigurationError: it does not answer.
    """
    return Look(
        read_scrape(remote.fetch_text("/metrics"), time.monotonic()),
        remote.fetch("/v1/status"),
        remote.fetch("/v1/decisions", {"limit": _DECISIONS})["decisions"],
        [remote.fetch("/v1/usage", {"app_id": app, "granularity": "day"}) for app in apps],
    )


def glance(url: str, before: Look, after: Look) -> dict[str, Any]:
    """What the time between two looks was like, and how it stands now."""
    between = Between(before.scrape, after.scrape)
    status = after.status
    return {
        "url": url,
        "status": status["status"],
        "version": status["version"],
        "uptime_s": status["uptime_s"],
        "at": status["at"],
        "interval_s": round(between.lasted_s, 3),
        "workers": int(after.scrape.total("entitlement_workers")),
        "per_second": _rates(between, own_requests=_QUESTIONS + len(after.apps)),
        "seconds": {
            name: {"p50": between.quantile(metric, 0.5), "p99": between.quantile(metric, 0.99)}
            for name, metric in _TIMES.items()
        },
        "parts": status["parts"],
        "limits": _limits(between),
        "subjects": _subjects(after.decisions),
        "apps": [
            {"app_id": used["app_id"], "from": used["from"], **used["totals"]}
            for used in after.apps
        ],
    }


def _rates(between: Between, own_requests: int) -> dict[str, float]:
    rates = {name: between.rate(metric, **labels) for name, (metric, labels) in _RATES.items()}
    # Whoever looks at a server that has nothing to do should see that.
    rates["requests"] = max(0.0, rates["requests"] - own_requests / between.lasted_s)
    return {name: round(rate, 3) for name, rate in rates.items()}


def _limits(between: Between) -> list[dict[str, object]]:
    """Limits that were found nearly or wholly used up, the most pressing first."""
    told = {
        effect: (
            between.grown_by(f"entitlement_limit_{effect}_total", "limit"),
            between.after.by(f"entitlement_limit_{effect}_total", "limit"),
        )
        for effect in ("near", "over")
    }
    ids = {limit for _, counted in told.values() for limit, number in counted.items() if number}
    found: list[dict[str, Any]] = [
        {"id": limit}
        | {effect: int(counted.get(limit, 0)) for effect, (_, counted) in told.items()}
        | {f"{effect}_new": int(grown.get(limit, 0)) for effect, (grown, _) in told.items()}
        for limit in ids
    ]
    order = ("over_new", "near_new", "over", "near")
    return sorted(found, key=lambda it: ([-int(it[name]) for name in order], it["id"]))[:_MOST]


def _subjects(decisions: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Whom something was not simply allowed, the latest first, each with a limit.

    It is the one that spoke first, else the fullest.
    """
    found: dict[tuple[str, str], dict[str, object]] = {}
    for decision in decisions:
        subject = decision["request"]["app_id"], decision["request"]["user_id"]
        if subject in found:
            continue
        told_of = {reason["id"] for reason in decision["reasons"][:1]}
        limits = [it for it in decision["limits"] if it["id"] in told_of] or decision["limits"]
        fullest = max(limits, key=share_of, default=None)
        found[subject] = {
            "app_id": subject[0],
            "user_id": subject[1],
            "at": decision["at"],
            "effect": decision["effect"],
            "reasons": [reason["id"] for reason in decision["reasons"]],
            "limit": fullest and fullest["id"],
            "share": fullest and round(share_of(fullest), 4),
        }
    return list(found.values())[:_MOST]


def share_of(limit: Mapping[str, Any]) -> float:
    """How much of a limit is used or held, 1 for all; nothing of one without a bound."""
    if limit["limit"] is None:
        return 0.0
    taken = float(limit["used"] + limit["reserved"])
    bound = limit["limit"] + limit.get("granted", 0)
    return taken / bound if bound else float(taken > 0)
