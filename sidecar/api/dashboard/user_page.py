"""The page of a user: plan, quotas with what is left and until when, use, grants, refusals."""

import asyncio
from collections.abc import Mapping
from typing import Any

from sidecar.api.dashboard.asked import Asked
from sidecar.api.dashboard.asking import Source, source
from sidecar.api.dashboard.gauges import gauges
from sidecar.api.dashboard.makers import Makers
from sidecar.api.dashboard.shown import OFTEN, Shown
from sidecar.api.dashboard.tables import Column, Kind, Table
from sidecar.api.dashboard.words import instant, window

_QUOTAS = (
    Column("limit", Kind.CODE), Column("meter"), Column("window"), Column("used", Kind.NUMBER),
    Column("reserved", Kind.NUMBER), Column("granted", Kind.NUMBER),
    Column("remaining", Kind.NUMBER), Column("bound", Kind.NUMBER),
    Column("resets", Kind.INSTANT),
)  # fmt: skip
_GRANTS = (
    Column("grant", Kind.CODE), Column("for"), Column("amount", Kind.NUMBER),
    Column("used", Kind.NUMBER), Column("held", Kind.NUMBER), Column("left", Kind.NUMBER),
    Column("from", Kind.INSTANT), Column("until", Kind.INSTANT), Column("reason"),
)  # fmt: skip
_PERIODS = (
    Column("limit", Kind.CODE), Column("window"), Column("start", Kind.INSTANT),
    Column("end", Kind.INSTANT), Column("state", Kind.STATE), Column("used", Kind.NUMBER),
    Column("included", Kind.NUMBER), Column("granted", Kind.NUMBER),
    Column("overage", Kind.NUMBER),
)  # fmt: skip


class UserPage:
    """Puts it together."""

    def __init__(self, makers: Makers) -> None:
        self._makers = makers

    async def show(self, asked: Asked) -> Shown:
        """The page of the user that the address names."""
        app_id, user_id = asked.query.get("app_id", ""), asked.query.get("user_id", "")
        answers, parts = self._makers.answers, self._makers.parts
        entitled = source("/v1/entitlements", app_id=app_id, user_id=user_id)
        billed = source("/v1/usage/periods", app_id=app_id, user_id=user_id, limit="50")
        has, usage, periods, refused = await asyncio.gather(
            parts.make(entitled, lambda: answers.of(entitled)),
            self._makers.usage.of(asked, app_id, user_id),
            parts.make(billed, lambda: answers.of(billed), lasts_s=2.0),
            self._makers.refusals.table(app_id, user_id),
        )
        currency, told = self._makers.currency, has.value
        quotas = grants = None
        if told is not None:
            quotas, grants = _quotas(told, entitled), _grants(told, entitled)
        history = None if periods.value is None else _periods(periods.value, billed)
        values = {
            "app_id": app_id, "user_id": user_id, "usage": usage, "has": has, "quotas": quotas,
            "gauges": [] if told is None else gauges(told["limits"], currency),
            "grants": grants, "periods": periods, "history": history, "refusals": refused,
            "currency": currency,
        }  # fmt: skip
        found = (quotas, grants, history, refused.value)
        tables = (*usage.tables, *(each for each in found if each is not None))
        return Shown("user.html", user_id, values, tables, every=OFTEN)


def _quotas(told: Mapping[str, Any], where: Source) -> Table:
    rows = [
        (
            each["id"], each["meter"], window(each["window"]), each["used"], each["reserved"],
            each["granted"], each["remaining"], each["limit"], instant(each["resets_at"]),
        )
        for each in told["limits"]
    ]  # fmt: skip
    return Table("quotas", "Quotas", _QUOTAS, rows, "The plan has no limits.", where)


def _grants(told: Mapping[str, Any], where: Source) -> Table:
    rows = [
        (
            each["id"], each["limit"] or each["meter"], each["amount"], each["used"],
            each["held"], each["left"], instant(each["effective_at"]),
            instant(each["expires_at"]), each["reason"],
        )
        for each in told["grants"]
    ]  # fmt: skip
    return Table("grants", "Grants", _GRANTS, rows, "Nothing was granted.", where)


def _periods(told: Mapping[str, Any], where: Source) -> Table:
    rows = [
        (
            each["limit"], window(each["window"]), instant(each["start"]), instant(each["end"]),
            each["state"], each["used"], each["included"], each["granted"], each["overage"],
        )
        for each in reversed(told["periods"])
    ]  # fmt: skip
    return Table("periods", "Billing periods", _PERIODS, rows, "No period has begun.", where)
