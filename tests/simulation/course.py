"""What might have been recorded: decisions, checks and reports of use, as lines, at random."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

BEGIN: Final = datetime(2026, 5, 3, tzinfo=UTC)
PLUGINS: Final = ("basic_search", "basic_code", "pro_tool")
MODELS: Final = ("gpt-4o", "gpt-4o-mini", "small")

OLD: Final = """\
apiVersion: sidecar/v1
kind: Policy
metadata: {name: old}
mode: enforce
defaults: {plan: free}
plans:
  free:
    plugins: ["*"]
    tokens_per_month: 60000
    limits:
      - {id: burst, meter: tokens, max: 4000, window: 1m, warn_at: 0.8}
  pro: {extends: free, plugins: ["*"], tokens_per_month: 400000}
"""
NEW: Final = """\
apiVersion: sidecar/v1
kind: Policy
metadata: {name: new}
mode: enforce
defaults: {plan: free}
plans:
  free:
    plugins: ["*"]
    tokens_per_month: 40000
    limits:
      - {id: burst, meter: tokens, max: 6000, window: 1m, warn_at: 0.8}
      - {id: per-hour, meter: requests, max: 12, window: 1h}
      - {id: gpt4-a-day, meter: tokens, max: 9000, window: day, when: 'request.model == "gpt-4o"', mode: advisory}
      - {id: running, meter: concurrency, max: 3}
      - {id: team, meter: input_tokens, max: 90000, window: 7h, per: [app]}
      - {id: huge, meter: tokens, max: 9007199254740991, window: lifetime}
  pro: {extends: free, plugins: ["*"], tokens_per_month: 400000}
rules:
  - {id: no-pro-tool, match: {plans: [free], plugins: ["pro_*"]}, effect: deny, on_error: deny, message: Not here.}
  - {id: never, when: request.model == "none", effect: warn, message: Never.}
"""  # noqa: E501  one limit, one line


def course(
    events: int, *, seed: int, users: int, span: timedelta, kinds: str = "dcu"
) -> Iterator[dict[str, Any]]:
    """So many events of so many users, in a time.

    Args:
        kinds: of d for recorded decisions, c for checks, u for reports of use.
    """
    dice = random.Random(seed)
    step = span / events
    live: list[str] = []
    for number in range(events):
        at = BEGIN + step * (number + dice.random())
        # Few ask often, most seldom.
        user = int(users * dice.random() ** 3)
        app, name = f"app-{user % 3}", f"user-{user}"
        tokens = dice.randrange(50, 1500)
        parts = {"input_tokens": tokens // 2, "output_tokens": tokens - tokens // 2}
        match dice.choice(kinds):
            case "u":
                report = {
                    "event_id": f"e-{number if dice.random() > 0.02 else number - 1}",
                    "event_ts": at.isoformat(),
                    "app_id": app,
                    "user_id": name,
                    "model_name": dice.choice(MODELS),
                    "prompt_tokens": tokens // 2,
                    "completion_tokens": tokens - tokens // 2,
                }
                if live and dice.random() < 0.6:
                    owner, _, reservation = live[int(len(live) * dice.random())].partition("|")
                    app, _, name = owner.partition("/")
                    report |= {"app_id": app, "user_id": name, "reservation_id": reservation}
                yield report
            case "c":
                yield {
                    "at": at.isoformat(),
                    "app_id": app,
                    "user_id": name,
                    "plugin": dice.choice(PLUGINS),
                    "model": dice.choice(MODELS),
                    "estimate": parts,
                }
            case _:
                decision = _decision(dice, number, at, app, name, user, tokens)
                if decision["reservation"]:
                    live.append(f"{app}/{name}|{decision['reservation']}")
                    del live[:-20]
                yield decision


def _decision(
    dice: random.Random, number: int, at: datetime, app: str, name: str, user: int, tokens: int
) -> dict[str, Any]:
    effect = dice.choices(("allow", "warn", "deny"), (8, 1, 1))[0]
    reserve = dice.random() < 0.6
    reasons = {
        "allow": [],
        "warn": [{"id": "burst", "effect": "warn", "mode": "enforce"}],
        "deny": [{"id": "free-tokens-per-month", "effect": "deny", "mode": "enforce"}],
    }[effect]
    return {
        "decision_id": f"dec_{number}",
        "at": at.isoformat().replace("+00:00", "Z"),
        "effect": effect,
        "limits": [],
        "request": {
            "app_id": app,
            "user_id": name,
            "tenant_id": "",
            "plugin": dice.choice(PLUGINS),
            "model": dice.choice(MODELS),
            "estimate": {
                "tokens": tokens,
                "input_tokens": tokens // 2,
                "output_tokens": tokens - tokens // 2,
                "requests": 1,
                "cost": 0,
                "concurrency": 1,
            },
            **({"reserve": True, "ttl_s": dice.choice((60, 600))} if reserve else {}),
        },
        "subscription": {
            "plan": "pro" if user % 5 == 0 else "free",
            "status": "active",
            "status_since": "2026-05-01T00:00:00Z",
            "billing_cycle": "",
            "cancel_at_period_end": False,
        },
        "reservation": f"res_{number}" if reserve and effect != "deny" else None,
        "degraded": False,
        "allows": 1.0,
        "hidden": 0,
        "reasons": reasons,
    }


def line(event: dict[str, Any]) -> bytes:
    """An event as it stands in a file."""
    return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
