"""`/portal`: the page on which a user sees what is its own.

The page itself is the same for everybody and says nothing of anybody. Its script has the token,
and asks for `/portal/view`, which is made here of what `/v1/me/*` answers.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from starlette.responses import Response

from sidecar.api.dashboard.gauges import gauges
from sidecar.api.dashboard.rendering import Pages
from sidecar.api.endpoint import Call
from sidecar.api.faults import InvalidBody
from sidecar.api.portal.consumed import Consumed, consumed
from sidecar.api.portal.own import Own
from sidecar.api.portal.titles import title_of
from sidecar.api.problem import of_status
from sidecar.api.queries import OWN_USAGE_QUERY, VIEW_DAYS, VIEW_QUERY
from sidecar.domain.decision import RemedyKind
from sidecar.domain.request import Subject
from sidecar.domain.wallet import WALLET
from sidecar.ports import Clock

_HERE: Final = Path(__file__).parent
_BASE: Final = _HERE.parent / "dashboard/static"
"""Both look alike, and a user need not reach the dashboard for it."""
_FILES: Final = {
    "base.css": (_BASE / "dashboard.css", "text/css; charset=utf-8"),
    "icon.svg": (_BASE / "icon.svg", "image/svg+xml"),
    "portal.css": (_HERE / "files/portal.css", "text/css; charset=utf-8"),
    "portal.js": (_HERE / "files/portal.js", "text/javascript; charset=utf-8"),
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors "
)


class Portal:
    """Serves the page.

    Args:
        ancestors: which pages may frame it, as `frame-ancestors` has it.
    """

    def __init__(self, own: Own, clock: Clock, ancestors: str) -> None:
        self._own = own
        self._clock = clock
        self._policy = _POLICY + ancestors
        self._pages = Pages(_HERE / "templates", {"title_of": title_of})

    async def page(self, call: Call) -> Response:
        """The page, which nobody need be known for."""
        return self._html(_content(_HERE / "files/portal.html"))

    async def file(self, call: Call) -> Response:
        """What the page is made with."""
        found = _FILES.get(call.path["file"])
        if found is None:
            return of_status(404)
        response = Response(_content(found[0]), headers={"Content-Type": found[1]})
        return _guarded(response)

    async def view(self, call: Call, subject: Subject) -> Response:
        """What the user sees in it."""
        days, now = call.asked(VIEW_QUERY).days, self._clock.now()
        entitled, use = await asyncio.gather(
            self._own.entitled(subject), self._used(subject, now, int(days))
        )
        report, shown = use
        currency = str(report.get("currency", ""))
        values = {"now": now, "days": days, "choices": VIEW_DAYS, "use": shown}
        values |= {"currency": currency} | _entitled(entitled, currency)
        return self._html(await self._pages.page("view.html", values))

    async def _used(
        self, subject: Subject, now: datetime, days: int
    ) -> tuple[Mapping[str, Any], Consumed | None]:
        """The report of so many days, today among them; None where that is too much."""
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        asked = {
            "from": today - timedelta(days=days - 1), "to": now,
            "granularity": "day", "group_by": "workflow,model",
        }  # fmt: skip
        try:
            report = await self._own.used(subject, OWN_USAGE_QUERY.validate_python(asked))
        except InvalidBody:
            return {}, None
        return report, consumed(report)

    def _html(self, content: bytes) -> Response:
        response = _guarded(Response(content, media_type="text/html"))
        response.headers["Content-Security-Policy"] = self._policy
        return response


def _entitled(body: Mapping[str, Any], currency: str) -> dict[str, object]:
    remedies: dict[str, list[Mapping[str, Any]]] = {kind: [] for kind in RemedyKind}
    for remedy in body["remedies"]:
        remedies[remedy["type"]].append(remedy)
    limits = [limit for limit in body["limits"] if limit["id"] != WALLET]
    return {
        "plan": body["plan_name"] or body["plan"],
        "standing": list(_standing(body["subscription"] or {})),
        "upgrade": next(iter(remedies[RemedyKind.UPGRADE]), None),
        "top_ups": {each["limit"]: each["url"] for each in remedies[RemedyKind.TOP_UP]},
        "gauges": gauges(limits, currency),
        "wallet": body["wallet"],
        "grants": [grant for grant in body["grants"] if grant["left"]],
    }


def _standing(told: Mapping[str, Any]) -> list[tuple[str, datetime | None]]:
    """How the subscription stands, and until when."""
    status = str(told.get("status", "none"))
    if status == "none":
        return [("without a subscription", None)]
    found: list[tuple[str, datetime | None]] = [(status.replace("_", " "), None)]
    ends = told["current_period_end"] or told["next_billing_date"]
    if status == "trialing" and told["trial_end_date"]:
        found.append(("trial until", told["trial_end_date"]))
    elif ends and told["cancel_at_period_end"]:
        found.append(("ends on", ends))
    elif ends:
        found.append(("renews on", ends))
    return found


@cache
def _content(file: Path) -> bytes:
    return file.read_bytes()


def _guarded(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
