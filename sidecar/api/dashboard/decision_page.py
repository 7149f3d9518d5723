"""The page of a decision: why it is what it is, with what each limit and rule saw."""

from collections.abc import Iterable, Mapping
from typing import Any

from sidecar.api.dashboard.asked import Asked
from sidecar.api.dashboard.asking import Answers, Source, decision_source
from sidecar.api.dashboard.parts import Parts
from sidecar.api.dashboard.shown import Shown
from sidecar.api.dashboard.tables import Cell, Column, Kind, Table
from sidecar.api.dashboard.words import instant, plain, window

_REASONS = (
    Column("effect", Kind.STATE), Column("why"), Column("code", Kind.CODE),
    Column("by", Kind.CODE), Column("mode"),
)  # fmt: skip
_LIMITS = (
    Column("limit", Kind.CODE), Column("does", Kind.STATE), Column("why"),
    Column("window"), Column("used", Kind.NUMBER), Column("reserved", Kind.NUMBER),
    Column("granted", Kind.NUMBER), Column("asked", Kind.NUMBER), Column("bound", Kind.NUMBER),
    Column("resets", Kind.INSTANT), Column("written at", Kind.CODE),
)  # fmt: skip
_RULES = (
    Column("rule", Kind.CODE), Column("does", Kind.STATE), Column("why"),
    Column("condition", Kind.CODE), Column("written at", Kind.CODE),
)  # fmt: skip


class DecisionPage:
    """Puts it together."""

    def __init__(self, answers: Answers, parts: Parts) -> None:
        self._answers = answers
        self._parts = parts

    async def show(self, asked: Asked) -> Shown:
        """The page of the decision that the address names."""
        decision_id = asked.query.get("id", "")
        where = decision_source(decision_id)
        part = await self._parts.make(
            where, lambda: self._answers.decision(decision_id), lasts_s=2.0
        )
        told = part.value
        if told is None:
            return Shown("no_decision.html", "Unknown decision", {"id": decision_id}, status=404)
        explained = told.get("explanation") or {}
        tables = (
            _reasons(told, where),
            _limits(told, explained, where),
            *([_rules(explained, where)] if explained.get("rules") else ()),
        )
        values = {
            "decision": told, "explained": explained, "part": part, "shown": tables,
            "reasons": tables[0],
            "parts": [_placed(each) for each in _deciding(explained)],
        }  # fmt: skip
        return Shown("decision.html", f"Decision {decision_id}", values, tables)


def _deciding(explained: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """The plan, the plugin and the feature, as far as they were asked for."""
    if "plan" in explained:
        plan = explained["plan"]
        yield {"kind": "plan", "name": plan["plan"] or "none", **plan}
        yield from explained["names"]


def _placed(told: Mapping[str, Any]) -> dict[str, Any]:
    return {**told, "place": place(told["place"])}


def _reasons(told: Mapping[str, Any], where: Source) -> Table:
    rows = [
        (each["effect"], each["message"], each["code"], each["id"], each["mode"])
        for each in told["reasons"]
    ]
    return Table("reasons", "Reasons", _REASONS, rows, "Nothing speaks against it.", where)


def _limits(told: Mapping[str, Any], explained: Mapping[str, Any], where: Source) -> Table:
    # Where many were refused at once, it is not told what each limit saw.
    rows: list[tuple[Cell, ...]] = []
    if "limits" in explained:
        rows = [_explained(each) for each in explained["limits"]]
    else:
        rows = [
            (
                each["id"], None, None, window(each["window"]), each["used"], each["reserved"],
                each["granted"], each["requested"], each["limit"], instant(each["resets_at"]), None,
            )
            for each in told["limits"]
        ]  # fmt: skip
    return Table("limits", "Limits", _LIMITS, rows, "No limit was looked at.", where)


def _explained(limit: Mapping[str, Any]) -> tuple[Cell, ...]:
    numbers = limit["numbers"] or dict.fromkeys(
        ("used", "reserved", "granted", "requested", "resets_at")
    )
    return (
        limit["id"], plain(limit["does"]), limit["why"], window(limit["window"]),
        numbers["used"], numbers["reserved"], numbers["granted"], numbers["requested"],
        limit["maximum"], instant(numbers["resets_at"]), place(limit["place"]),
    )  # fmt: skip


def _rules(explained: Mapping[str, Any], where: Source) -> Table:
    rows = [
        (
            rule["id"], plain(rule["does"]), rule["why"],
            "; ".join(f"{each['text']} → {each['value']}" for each in rule["expressions"]),
            place(rule["place"]),
        )
        for rule in explained["rules"]
    ]  # fmt: skip
    return Table("rules", "Rules", _RULES, rows, "No rule was looked at.", where)


def place(text: str | None) -> str | None:
    """A place in a file, by the file's name: in which folder stands on the page of policies."""
    return None if text is None else text.rpartition("/")[2]
