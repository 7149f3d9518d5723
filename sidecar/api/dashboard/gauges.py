"""How full is each limit? As a bar has it, and as somebody says it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sidecar.api.dashboard.closest import NEAR
from sidecar.api.dashboard.words import units

_LENGTH: Final = 1000
_OF_ALL: Final = frozenset({"app", "tenant"})


@dataclass(frozen=True, slots=True)
class Gauge:
    """One limit, as `/v1/entitlements` tells it.

    Attributes:
        limit: its members there.
        state: ok, near, over, or free where there is no bound.
        used, reserved: how long these are of a bar of 1,000.
        said: what somebody hears who does not see the bar.
    """

    limit: Mapping[str, Any]
    state: str
    used: int
    reserved: int
    whole: int | None
    said: str


def gauges(limits: Iterable[Mapping[str, Any]], currency: str) -> list[Gauge]:
    """A gauge for each limit."""
    return [_gauge(limit, currency) for limit in limits]


def of_the_app(limits: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The limits that all users of an app share."""
    return [limit for limit in limits if _OF_ALL.issuperset(limit["per"])]


def _gauge(limit: Mapping[str, Any], currency: str) -> Gauge:
    used, reserved, meter = limit["used"], limit["reserved"], limit["meter"]
    told = units(used, meter, currency)
    if limit["limit"] is None:
        return Gauge(limit, "free", 0, 0, None, f"{told} used, no bound")
    whole = max(0, limit["limit"] + limit["granted"])
    part = used / whole if whole else float(used > 0)
    filled = min(_LENGTH, round(part * _LENGTH))
    held = min(_LENGTH - filled, round(reserved / whole * _LENGTH) if whole else 0)
    state = "over" if part >= 1 else "near" if (used + reserved) / (whole or 1) >= NEAR else "ok"
    left = units(limit["remaining"], meter, currency)
    said = f"{told} of {units(whole, meter, currency)} used, {left} remaining"
    return Gauge(limit, state, filled, held, whole, said)
