"""What should a simulation answer? Added up anew for every question, from all that happened.

It shares nothing with the simulation: the limits of the policies stand here once more, by hand, no
sum is kept, nothing is forgotten. Times are milliseconds since 1970.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Event = dict[str, Any]


@dataclass(frozen=True)
class Bound:
    """A limit; a window is its length, or `month`, `day`, `ever`."""

    id: str
    meter: str
    maximum: int
    window: int | str
    whole_app: bool = False
    advisory: bool = False
    warn_from: int | None = None
    model: str = ""


BURST = Bound("burst", "tokens", 4000, 60_000, warn_from=3200)
OLD = {
    "free": [Bound("free-tokens-per-month", "tokens", 60_000, "month"), BURST],
    "pro": [Bound("pro-tokens-per-month", "tokens", 400_000, "month"), BURST],
}
_NEW = [
    Bound("burst", "tokens", 6000, 60_000, warn_from=4800),
    Bound("per-hour", "requests", 12, 3_600_000),
    Bound("gpt4-a-day", "tokens", 9000, "day", advisory=True, model="gpt-4o"),
    Bound("running", "concurrency", 3, "ever"),
    Bound("team", "input_tokens", 90_000, 7 * 3_600_000, whole_app=True),
    Bound("huge", "tokens", 2**53 - 1, "ever"),
]
NEW = {
    "free": [Bound("free-tokens-per-month", "tokens", 40_000, "month"), *_NEW],
    "pro": [Bound("pro-tokens-per-month", "tokens", 400_000, "month"), *_NEW],
}


@dataclass
class Use:
    """Units of one event: used, or held until an instant."""

    at: int
    app: str
    user: str
    model: str
    units: dict[str, int]
    held_until: int | None = None
    plan: str = "free"
    request_told: bool = False


@dataclass
class Policy:
    """One policy, and all that counts under it."""

    plans: dict[str, list[Bound]]
    denies: Callable[[str, Event], bool]
    uses: list[Use] = field(default_factory=list)
    holds: dict[str, Use] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)

    def effect(self, plan: str, request: Event, at: int) -> str:
        """What it says of a check."""
        effects = {"allow"}
        if self.denies(plan, request):
            effects.add("deny")
        for bound in self.plans[plan]:
            if bound.model and bound.model != request["model"]:
                continue
            counted = self.counted(bound, request, at)
            asked = request["units"][bound.meter]
            if (asked or 1) > max(0, bound.maximum - counted):
                effects.add("warn" if bound.advisory else "deny")
            elif bound.warn_from is not None and counted + asked >= bound.warn_from:
                effects.add("warn")
        return next(effect for effect in ("deny", "warn", "allow") if effect in effects)

    def counted(self, bound: Bound, request: Event, at: int) -> int:
        """What is used and held, by the definition."""
        total = 0
        for use in self.uses:
            same = use.app == request["app_id"] and (
                bound.whole_app or use.user == request["user_id"]
            )
            if not same or (bound.model and use.model != bound.model):
                continue
            units = use.units.get(bound.meter, 0)
            if use.held_until is not None:
                living = use.held_until > at
                total += units * (living and _in_period(bound.window, use.at, at))
            else:
                total += units * _counts(bound.window, use.at, at)
        return total


def _in_period(window: int | str, then: int, now: int) -> bool:
    return isinstance(window, int) or _period(window, then) == _period(window, now)


def _counts(window: int | str, then: int, now: int) -> bool:
    if isinstance(window, str):
        return _period(window, then) == _period(window, now)
    width = -(-window // 60)
    return then // width >= (now - window) // width


def _period(window: str, at: int) -> object:
    day = datetime.fromtimestamp(at / 1000, UTC).timetuple()
    return {"ever": 0, "day": day[:3], "month": day[:2]}[window]


def recount(
    events: Iterable[Event], policies: Sequence[Policy], *, by: str
) -> list[tuple[Event, list[str]]]:
    """Each check, and what each policy says of it."""
    plans: dict[tuple[str, str], str] = {}
    seen: set[tuple[str, str]] = set()
    answers = []
    for event in sorted(events, key=_at):
        at = _at(event)
        if "event_id" in event:
            key = event["app_id"], event["event_id"]
            if by == "usage" and key not in seen:
                seen.add(key)
                for policy in policies:
                    _report(policy, event, at)
            continue
        request = event.get("request", event)
        user = request["app_id"], request["user_id"]
        if "subscription" in event:
            plans[user] = event["subscription"]["plan"]
        plan = plans.get(user, "free")
        request = request | {"units": _asked(request["estimate"])}
        effects = []
        for policy in policies:
            effect = policy.effect(plan, request, at)
            effects.append(effect)
            _let_through(policy, event, request, effect, at, by=by)
        answers.append((event, effects))
    return answers


def _let_through(
    policy: Policy, event: Event, request: Event, effect: str, at: int, *, by: str
) -> None:
    reservation = event.get("reservation")
    if effect == "deny":
        if reservation:
            policy.refused.add(reservation)
        return
    units, ends = dict(request["units"]), at + request.get("ttl_s", 0) * 1000
    who = request["app_id"], request["user_id"], request["model"]
    running = {"concurrency": units.pop("concurrency")}
    if by == "usage" and event.get("effect") != "deny":
        if request.get("reserve"):
            hold = Use(at, *who, units | running, held_until=ends)
            policy.uses.append(hold)
            policy.holds[reservation or ""] = hold
        return
    if by == "holds" and not request.get("reserve"):
        return
    policy.uses.append(Use(at, *who, units))
    if request.get("reserve"):
        policy.uses.append(Use(at, *who, running, held_until=ends))


def _report(policy: Policy, event: Event, at: int) -> None:
    reservation = event.get("reservation_id")
    if reservation in policy.refused:
        return
    tokens_in, tokens_out = event["prompt_tokens"], event["completion_tokens"]
    units = {"tokens": tokens_in + tokens_out, "input_tokens": tokens_in, "requests": 1}
    who = event["app_id"], event["user_id"]
    hold = policy.holds.get(reservation or "none")
    if hold is None or (hold.held_until or 0) <= at:
        policy.uses.append(Use(at, *who, event["model_name"], units))
        return
    # It is part of the run: in its place, of its model, and its one request is told once.
    if hold.request_told:
        units["requests"] = 0
    hold.request_told = True
    policy.uses.append(Use(hold.at, *who, hold.model, units))
    for meter, count in units.items():
        hold.units[meter] = max(0, hold.units[meter] - count)


def _asked(estimate: Event) -> dict[str, int]:
    tokens_in, tokens_out = estimate["input_tokens"], estimate["output_tokens"]
    return {
        "tokens": tokens_in + tokens_out,
        "input_tokens": tokens_in,
        "requests": 1,
        "concurrency": 1,
    }


def _at(event: Event) -> int:
    at = datetime.fromisoformat(event.get("event_ts") or event["at"])
    return int((at.timestamp() * 1_000_000 + 0.5) // 1000)


def changes(answers: Iterable[tuple[Event, list[str]]]) -> Counter[tuple[str, str]]:
    """How many answers of the first policy become which of the second."""
    return Counter((base, said) for _, (base, said) in answers if base != said)
