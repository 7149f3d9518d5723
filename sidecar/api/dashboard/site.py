"""Which page is asked for, and what may a browser do with it?"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from sidecar.api.auth import Forbidden, Unauthenticated
from sidecar.api.dashboard.app_page import AppPage
from sidecar.api.dashboard.asked import HOME, OVERVIEW, SIGN_IN, Asked, asked_of
from sidecar.api.dashboard.asking import Answers
from sidecar.api.dashboard.closest import Closest
from sidecar.api.dashboard.consumption import Consumptions
from sidecar.api.dashboard.dashboard import Resources
from sidecar.api.dashboard.decision_page import DecisionPage
from sidecar.api.dashboard.door import Door
from sidecar.api.dashboard.files import file_at
from sidecar.api.dashboard.home_page import HomePage
from sidecar.api.dashboard.makers import Makers
from sidecar.api.dashboard.parts import Parts
from sidecar.api.dashboard.passing import PassingLimits
from sidecar.api.dashboard.policies_page import PoliciesPage
from sidecar.api.dashboard.refusals import Refusals, app_page, user_page
from sidecar.api.dashboard.rendering import Pages
from sidecar.api.dashboard.shown import Shown
from sidecar.api.dashboard.tables import csv_of
from sidecar.api.dashboard.usage_part import UsageParts
from sidecar.api.dashboard.user_page import UserPage
from sidecar.api.dashboard.whence import Whence
from sidecar.api.endpoint import of_stranger
from sidecar.api.faults import InvalidBody
from sidecar.api.nearby import FromElsewhere, Misnamed
from sidecar.api.problem import BodyTooLarge, of_status, problem

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What a browser may do for a page: nothing but with what is served here."""
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with none, a form would not say where it was sent from
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_SIGN_OUT: Final = "/dashboard/sign-out"
_FIND: Final = "/dashboard/find"
_SPREADSHEET: Final = ".csv"
_FOREVER: Final = "public, max-age=31536000, immutable"


class Site:
    """Answers whatever begins with `/dashboard`."""

    def __init__(self, resources: Resources) -> None:
        clock, policies = resources.clock, resources.policies
        consumptions = Consumptions(resources.meter, clock)
        answers, parts = Answers(resources.handlers), Parts(clock)
        refusals, usage = Refusals(answers, parts), UsageParts(consumptions, policies, parts)
        makers = Makers(answers, parts, refusals, usage, policies)
        closest, passing = Closest(resources.statements, clock), PassingLimits(answers, clock)
        self._clock = clock
        self._pages = Pages()
        self._door = Door(resources.keys, self._pages, clock, Whence(resources.proxies))
        home = HomePage(answers, parts, refusals, resources.apps, consumptions, clock)
        self._shows: dict[str, Callable[[Asked], Awaitable[Shown]]] = {
            HOME: home.show,
            OVERVIEW: home.show,
            "/dashboard/app": AppPage(makers, closest, passing).show,
            "/dashboard/user": UserPage(makers).show,
            "/dashboard/decision": DecisionPage(answers, parts).show,
            "/dashboard/policies": PoliciesPage(answers, parts).show,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._answer(asked_of(scope, self._clock.now()), receive)
        for name, value in _HEADERS.items():
            response.headers[name] = value
        response.headers.setdefault("Cache-Control", "no-store")
        await response(scope, receive, send)

    async def _answer(self, asked: Asked, receive: Receive) -> Response:
        file = file_at(asked.path)
        if file is not None:
            kept = {"Cache-Control": _FOREVER}
            return Response(file.content, media_type=file.media_type, headers=kept)
        try:
            match asked.method, asked.path:
                case "POST", path if path == SIGN_IN:
                    return await self._door.sign_in(asked, receive)
                case "POST", path if path == _SIGN_OUT:
                    return await self._door.sign_out(asked, receive)
                case "POST", _:
                    return of_status(405, {"Allow": "GET"})
                case _, path if path == SIGN_IN:
                    if self._door.is_open:
                        return RedirectResponse(HOME, 303)
                    return await self._door.form(asked)
                case _:
                    return await self._within(asked)
        except BodyTooLarge as error:
            return problem(413, "body_too_large", "The body is too large", str(error))

    async def _within(self, asked: Asked) -> Response:
        """A page for whoever may come in."""
        try:
            refusal = self._door.refusal(asked)
        except Unauthenticated:
            return problem(401, "unauthenticated", "No valid key", "This key is not known.")
        except Forbidden as error:
            return problem(403, "forbidden", "The key is for something else", str(error))
        except (Misnamed, FromElsewhere) as error:
            return of_stranger(error, asked.path)
        if refusal is not None:
            return refusal
        if asked.path == _FIND:
            return RedirectResponse(_found(asked), 303)
        name = asked.path.removesuffix(_SPREADSHEET)
        place = name.rstrip("/")
        show = self._shows.get(place)
        if show is None or not asked.query.keys() >= _NEEDED.get(place, set()):
            return await self._page(asked, Shown("lost.html", "No such page", {}, status=404))
        try:
            shown = await show(asked)
        except InvalidBody as error:
            told = "; ".join(str(fault.message) for fault in error.faults)
            values = {"told": told}
            return await self._page(asked, Shown("unfit.html", "Not so", values, status=422))
        if name != asked.path:
            return _spreadsheet(asked, shown)
        return await self._page(asked, shown)

    async def _page(self, asked: Asked, shown: Shown) -> Response:
        values = {
            "asked": asked, "now": asked.now, "title": shown.title, "is_open": self._door.is_open,
            "every": shown.every,
            "page": asked.path, "layout": "live.html" if asked.is_live else "page.html",
            **shown.values,
        }  # fmt: skip
        page = await self._pages.page(shown.template, values)
        return Response(page, shown.status, media_type="text/html")


_NEEDED: Final[Mapping[str, set[str]]] = {
    "/dashboard/app": {"app_id"},
    "/dashboard/user": {"app_id", "user_id"},
    "/dashboard/decision": {"id"},
}


def _found(asked: Asked) -> str:
    """The page of what somebody looks for."""
    app_id, user_id = (asked.query.get(name, "").strip() for name in ("app_id", "user_id"))
    if not app_id:
        return HOME
    return user_page(app_id, user_id) if user_id else app_page(app_id)


def _spreadsheet(asked: Asked, shown: Shown) -> Response:
    """One table of a page, as a file."""
    wanted = asked.query.get("table", "")
    table = next((each for each in shown.tables if each.name == wanted), None)
    if table is None:
        return of_status(404)
    headers = {"Content-Disposition": f'attachment; filename="{table.name}.csv"'}
    return Response(csv_of(table), media_type="text/csv", headers=headers)
