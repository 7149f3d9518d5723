"""Who was refused lately, and why?"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from sidecar.api.dashboard.asking import Answers, Source, source
from sidecar.api.dashboard.parts import Part, Parts
from sidecar.api.dashboard.tables import Cell, Column, Kind, Linked, Table
from sidecar.api.dashboard.words import instant, plain

_SHOWN: Final = 20
_FRESH_S: Final = 2.0
"""Files of decisions may have to be read for it."""
_ASKED_FOR: Final = ("plugin", "feature", "workflow", "agent", "model")
_COLUMNS: Final = (
    Column("at", Kind.INSTANT), Column("user"), Column("because", Kind.STATE),
    Column("why"), Column("asked for", Kind.CODE), Column("decision"),
)  # fmt: skip
_IN_ONE_APP: Final = "app"


class Refusals:
    """Shows the latest recorded refusals."""

    def __init__(self, answers: Answers, parts: Parts) -> None:
        self._answers = answers
        self._parts = parts

    async def table(self, app_id: str = "", user_id: str = "") -> Part[Table]:
        """Those of a user, of an app, or of all."""
        asked = source(
            "/v1/decisions", app_id=app_id, user_id=user_id, effect="deny", limit=str(_SHOWN)
        )

        async def make() -> Table:
            return _table(await self._answers.of(asked), app_id, asked)

        return await self._parts.make(asked, make, lasts_s=_FRESH_S)


def _table(told: Mapping[str, Any], app_id: str, asked: Source) -> Table:
    columns = _COLUMNS if app_id else (_COLUMNS[0], Column(_IN_ONE_APP), *_COLUMNS[1:])
    rows = [_row(each, is_of_app=bool(app_id)) for each in told["decisions"]]
    lost = told["lost"]
    about = f"{lost:,} decisions could not be recorded. " if lost else ""
    if told["kept"] == "memory":
        about += "Those of this process, since its start; SIDECAR_DECISION_LOG keeps those of all."
    return Table("refusals", "Latest refusals", columns, rows, "Nobody was refused.", asked, about)


def _row(decision: Mapping[str, Any], *, is_of_app: bool) -> tuple[Cell, ...]:
    request, reasons = decision["request"], decision["reasons"]
    first = reasons[0] if reasons else {"code": "", "message": ""}
    app_id, user_id = request["app_id"], request["user_id"]
    wanted = " · ".join(request[name] for name in _ASKED_FOR if request.get(name))
    user = Linked(user_id, user_page(app_id, user_id))
    rest: tuple[Cell, ...] = (
        user, plain(first["code"]), first["message"], wanted,
        Linked("explain", decision_page(decision["decision_id"])),
    )  # fmt: skip
    at = instant(decision["at"])
    return (at, *rest) if is_of_app else (at, Linked(app_id, app_page(app_id)), *rest)


def app_page(app_id: str) -> str:
    """The address of the page of an app."""
    return f"/dashboard/app?{urlencode({'app_id': app_id})}"


def user_page(app_id: str, user_id: str) -> str:
    """The address of the page of a user."""
    return f"/dashboard/user?{urlencode({'app_id': app_id, 'user_id': user_id})}"


def decision_page(decision_id: str) -> str:
    """The address of the page of a decision."""
    return f"/dashboard/decision?{urlencode({'id': decision_id})}"
