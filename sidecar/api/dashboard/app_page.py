"""The page of an app: its quotas, what it used, who is near a limit, who was refused."""

import asyncio
from typing import Any

from sidecar.api.dashboard.asked import Asked
from sidecar.api.dashboard.asking import source
from sidecar.api.dashboard.closest import SHOWN, Closest, Found, Near
from sidecar.api.dashboard.gauges import Gauge, gauges, of_the_app
from sidecar.api.dashboard.makers import Makers
from sidecar.api.dashboard.parts import Part
from sidecar.api.dashboard.passing import Passing, PassingLimits
from sidecar.api.dashboard.refusals import user_page
from sidecar.api.dashboard.shown import OFTEN, Shown
from sidecar.api.dashboard.tables import Cell, Column, Kind, Linked, Table
from sidecar.api.dashboard.words import units, window

_COLUMNS = (
    Column("user"), Column("limit", Kind.CODE), Column("used", Kind.NUMBER),
    Column("included", Kind.NUMBER), Column("of it", Kind.PART), Column("window"),
    Column("ends", Kind.INSTANT),
)  # fmt: skip
_ANYBODY = "anybody"
_SHARED = "(all users)"


class AppPage:
    """Puts it together."""

    def __init__(self, makers: Makers, closest: Closest, passing: PassingLimits) -> None:
        self._makers = makers
        self._closest = closest
        self._passing = passing

    async def show(self, asked: Asked) -> Shown:
        """The page of the app that the address names."""
        app_id, makers = asked.query.get("app_id", ""), self._makers
        currency = makers.currency
        usage, near, refused = await asyncio.gather(
            makers.usage.of(asked, app_id, None),
            makers.parts.make(
                source("/v1/usage/periods", app_id=app_id, state="open", limit="500"),
                lambda: self._closest.of(app_id, is_live=asked.is_live),
                key="closest",
            ),
            makers.refusals.table(app_id),
        )
        used = usage.part.value
        is_used = used is not None and (used.total.tokens > 0 or used.total.requests > 0)
        quotas, passing = await asyncio.gather(
            self._quotas(app_id, near.value, is_used, currency),
            self._passing_of(app_id, is_live=asked.is_live),
        )
        closest = None if near.value is None else _table(near, near.value, passing, app_id)
        values = {
            "app_id": app_id, "user_id": "", "usage": usage, "near": near, "closest": closest,
            "refusals": refused, "quotas": quotas, "currency": currency,
        }  # fmt: skip
        tables = (*usage.tables, *(each for each in (closest, refused.value) if each is not None))
        return Shown("app.html", app_id, values, tables, every=OFTEN)

    async def _passing_of(self, app_id: str, *, is_live: bool) -> Passing:
        """Who is near a limit that no statement tells of."""
        # Whoever opens a page does not wait for those of whom nothing is known.
        others = self._closest.met(app_id) if is_live else ()

        async def make() -> Passing:
            return await self._passing.of(app_id, others)

        made = await self._makers.parts.make(None, make, key=("passing", app_id))
        return made.value or Passing()

    async def _quotas(
        self, app_id: str, found: Found | None, is_used: bool, currency: str
    ) -> Part[list[Gauge]] | None:
        """The limits that all users share, as any of them has them; None while nobody uses it."""
        user_id = None if found is None else found.first_user
        if user_id is None:
            if not is_used and (found is None or not found.looked_at):
                return None
            # No limit is kept for users, so whoever is asked for has the same.
            user_id = _ANYBODY
        asked = source("/v1/entitlements", app_id=app_id, user_id=user_id)

        async def make() -> list[Gauge]:
            told: Any = await self._makers.answers.of(asked)
            return gauges(of_the_app(told["limits"]), currency)

        return await self._makers.parts.make(asked, make, key="shared")


def _table(part: Part[Found], found: Found, passing: Passing, app_id: str) -> Table:
    lines = sorted((*found.lines, *passing.lines), key=lambda line: -line.part)[:SHOWN]
    rows = [_row(line, app_id) for line in lines]
    told = f"{found.over:,} over, {found.near:,} near, of {found.looked_at:,} running periods"
    about = told + ("." if found.is_whole else " looked at so far.")
    if passing.users:
        about += (
            f" Of other windows than months {passing.over:,} over, {passing.near:,} near, of "
            f"{passing.users:,} users asked after in the last minute."
        )
    empty = "Nobody has used anything of a limit by the month." if found.is_whole else "Looking …"
    return Table("closest", "Closest to a limit", _COLUMNS, rows, empty, part.source, about)


def _row(line: Near, app_id: str) -> tuple[Cell, ...]:
    who: Cell = _SHARED
    if line.user_id:
        who = Linked(line.user_id, user_page(app_id, line.user_id))
    used: Cell = line.used
    included: Cell = line.included
    if line.meter == "cost":
        used, included = units(line.used, "cost"), units(line.included, "cost")
    return (
        who, line.limit, used, included, line.part, window(line.window), line.ends_at,
    )  # fmt: skip
