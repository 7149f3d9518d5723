"""The page of policies: what holds, what was refused and why, what a candidate would change."""

from collections.abc import Iterator, Mapping
from typing import Any

from sidecar.api.dashboard.asked import Asked
from sidecar.api.dashboard.asking import Answers, Source, source
from sidecar.api.dashboard.parts import Parts
from sidecar.api.dashboard.refusals import app_page, decision_page, user_page
from sidecar.api.dashboard.shown import OFTEN, Shown
from sidecar.api.dashboard.tables import Cell, Column, Kind, Linked, Table
from sidecar.api.dashboard.words import instant

_FILES = (Column("file", Kind.CODE), Column("kind"), Column("sha256", Kind.CODE))
_PLANS = (Column("plan", Kind.CODE), Column("name"), Column("mode", Kind.STATE))
_FINDINGS = (
    Column("at", Kind.CODE), Column("what is wrong"), Column("code", Kind.CODE), Column("hint"),
)  # fmt: skip
_DIFFERENCES = (
    Column("at", Kind.INSTANT), Column("app"), Column("user"), Column("in force", Kind.STATE),
    Column("candidate", Kind.STATE), Column("because", Kind.CODE), Column("decision"),
)  # fmt: skip


class PoliciesPage:
    """Puts it together."""

    def __init__(self, answers: Answers, parts: Parts) -> None:
        self._answers = answers
        self._parts = parts

    async def show(self, asked: Asked) -> Shown:
        """The page."""
        where = source("/v1/policies")
        part = await self._parts.make(where, lambda: self._answers.of(where), lasts_s=1.0)
        tables = () if part.value is None else tuple(_tables(part.value, where))
        named = {table.name: table for table in tables}
        return Shown(
            "policies.html", "Policies", {"policies": part, "shown": named}, tables, every=OFTEN
        )


def _tables(told: Mapping[str, Any], where: Source) -> Iterator[Table]:
    yield _files("files", told, where)
    plans = [(each["id"], each["name"], each["mode"]) for each in told.get("plans", ())]
    yield Table("plans", "Plans", _PLANS, plans, "There is no plan.", where)
    if told["rejected"] is not None:
        yield _findings("rejected", told["rejected"], where)
    shadow = told["shadow"]
    if shadow is None:
        return
    yield _files("candidate-files", shadow, where)
    if shadow["rejected"] is not None:
        yield _findings("candidate-rejected", shadow["rejected"], where)
    if shadow["comparison"] is not None:
        yield _differences(shadow["comparison"], where)


def _files(name: str, told: Mapping[str, Any], where: Source) -> Table:
    rows = [(each["name"], each["kind"], each["sha256"]) for each in told.get("files", ())]
    return Table(name, "Files", _FILES, rows, "Nothing has loaded yet.", where)


def _findings(name: str, rejected: Mapping[str, Any], where: Source) -> Table:
    rows = [
        (
            f"{each['file']}:{each['line']}:{each['column']}", each["message"], each["code"],
            each["hint"],
        )
        for each in rejected["diagnostics"]
    ]  # fmt: skip
    about = f"{rejected['untold']:,} more are not listed." if rejected["untold"] else ""
    return Table(name, "What is wrong", _FINDINGS, rows, rejected["message"], where, about)


def _differences(comparison: Mapping[str, Any], where: Source) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            instant(each["at"]),
            Linked(each["app_id"], app_page(each["app_id"])),
            Linked(each["user_id"], user_page(each["app_id"], each["user_id"])),
            each["live"]["effect"], each["shadow"]["effect"], each["because"],
            Linked("explain", decision_page(each["decision_id"])),
        )
        for each in comparison["latest"]
    ]  # fmt: skip
    empty = "No decision would have been another one."
    return Table("differences", "Latest differences", _DIFFERENCES, rows, empty, where)
