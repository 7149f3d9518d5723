"""The first page: how is the server, which policies hold, which apps are there, who was refused?"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from sidecar.api.dashboard.asked import Asked
from sidecar.api.dashboard.asking import Answers, source
from sidecar.api.dashboard.consumption import SPANS, Consumptions, Sum
from sidecar.api.dashboard.parts import Part, Parts
from sidecar.api.dashboard.refusals import Refusals, app_page
from sidecar.api.dashboard.shown import OFTEN, Shown
from sidecar.api.dashboard.tables import Cell, Column, Kind, Linked, Table
from sidecar.ports import Apps, Clock

_APPS: Final = 200
_SUMMED_UP: Final = 20
"""Apps whose use is read for this page: the latest that began to be counted."""
_SUMS_LAST_S: Final = 20.0
_COLUMNS: Final = (
    Column("app"), Column("tokens, 24 h", Kind.NUMBER), Column("requests, 24 h", Kind.NUMBER),
)  # fmt: skip
_PARTS: Final = (Column("part"), Column("state", Kind.STATE), Column("what there is to know"))


class HomePage:
    """Puts it together."""

    def __init__(
        self,
        answers: Answers,
        parts: Parts,
        refusals: Refusals,
        apps: Apps,
        consumptions: Consumptions,
        clock: Clock,
    ) -> None:
        self._answers = answers
        self._parts = parts
        self._refusals = refusals
        self._apps = apps
        self._consumptions = consumptions
        self._clock = clock

    async def show(self, asked: Asked) -> Shown:
        """The page."""
        standing, policies = source("/v1/status"), source("/v1/policies")
        status, in_force, apps, refused = await asyncio.gather(
            self._parts.make(standing, lambda: self._answers.of(standing), lasts_s=1.0),
            self._parts.make(policies, lambda: self._answers.of(policies), lasts_s=1.0),
            self._parts.make(None, self._table, lasts_s=2.0, key="apps"),
            self._refusals.table(),
        )
        values = {"status": status, "policies": in_force, "apps": apps, "refusals": refused}
        told = None if status.value is None else _told(status.value)
        shown = (apps.value, refused.value, told)
        tables = tuple(table for table in shown if table is not None)
        return Shown("home.html", "Overview", values, tables, every=OFTEN)

    async def _table(self) -> Table:
        names = await self._apps.latest(_APPS, since=self._clock.monotonic())
        summed_up = [await self._sum(name) for name in names[:_SUMMED_UP]]
        order = sorted(
            zip(names, summed_up, strict=False), key=lambda each: (-_tokens(each[1]), each[0])
        )
        rows = [_row(name, part.value) for name, part in order]
        rows += [_row(name, None) for name in names[_SUMMED_UP:]]
        about = f"The latest {_APPS} apps." if len(names) == _APPS else ""
        return Table("apps", "Apps", _COLUMNS, rows, "Nothing was counted yet.", None, about)

    async def _sum(self, app_id: str) -> Part[Sum]:
        async def make() -> Sum:
            return (await self._consumptions.of(app_id, None, SPANS["24h"], {})).total

        return await self._parts.make(None, make, lasts_s=_SUMS_LAST_S, key=("sum", app_id))


def _told(status: Mapping[str, Any]) -> Table:
    """The parts of the server, for a spreadsheet."""
    rows = []
    for name, each in status["parts"].items():
        facts = (f"{fact}: {value}" for fact, value in each["facts"].items())
        rows.append((name, each["state"], "; ".join(facts)))
    return Table("parts", "Parts of the server", _PARTS, rows, "", source("/v1/status"))


def _tokens(part: Part[Sum]) -> int:
    return 0 if part.value is None else part.value.tokens


def _row(name: str, used: Sum | None) -> tuple[Cell, ...]:
    linked = Linked(name, app_page(name))
    return (linked, None, None) if used is None else (linked, used.tokens, used.requests)
