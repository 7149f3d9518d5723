"""Who comes in? Whoever has a key that may read, as a cookie, or as programs bring it."""

from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive

from sidecar.api.auth import Keys, Role
from sidecar.api.dashboard.asked import (
    BROWSER_COOKIE,
    COOKIE,
    HOME,
    SIGN_IN,
    Asked,
    ours,
    read_form,
)
from sidecar.api.dashboard.patience import Patience
from sidecar.api.dashboard.rendering import Pages
from sidecar.api.dashboard.sessions import BROWSER, KNOWN_FOR, LASTS, Sessions
from sidecar.api.dashboard.whence import Whence
from sidecar.ports import Clock

ROLES: Final = (Role.INTERNAL, Role.READ)
_WRONG: Final = "This key is not known, or is not for reading."
_ELSEWHERE: Final = "Another site sent this. Sign in here."

_log = structlog.get_logger("sidecar.dashboard")


class Door:
    """Lets people in and out.

    Args:
        keys: of all callers; with none configured everybody comes in.
    """

    def __init__(self, keys: Keys, pages: Pages, clock: Clock, whence: Whence) -> None:
        self._keys = keys
        self._pages = pages
        self._whence = whence
        self._sessions = Sessions(keys.secrets(ROLES))
        self._browsers = Sessions(keys.secrets(ROLES), BROWSER, KNOWN_FOR)
        self._patience = Patience(clock.monotonic)

    @property
    def is_open(self) -> bool:
        """Whether nobody needs a key."""
        return self._keys.is_open

    def refusal(self, asked: Asked) -> Response | None:
        """The answer to whoever may not come in, None for whoever may.

        Raises:
            Unauthenticated, Forbidden: a program brought a key, and not one of these.
            Misnamed, FromElsewhere: nobody needs a key, but this one may not ask.
        """
        if self.is_open or asked.has_key:
            self._keys.require(ROLES, asked.headers)
            return None
        if self._sessions.holds(asked.cookie(), asked.now):
            return None
        there = f"{SIGN_IN}?{urlencode({'next': asked.address})}"
        if asked.is_live:
            # A page that is open already goes there as a whole.
            return Response(status_code=401, headers={"HX-Redirect": there})
        return RedirectResponse(there, 303)

    async def form(self, asked: Asked, fault: str = "", status: int = 200) -> Response:
        """The page that asks for a key."""
        values = {"next": ours(asked.query.get("next", HOME)), "fault": fault, "is_open": False}
        page = await self._pages.page("sign_in.html", values)
        return Response(page, status, media_type="text/html")

    async def sign_in(self, asked: Asked, receive: Receive) -> Response:
        """Let in whoever gives a key."""
        form = await read_form(receive)
        if not asked.is_of_this_site:
            return await self.form(asked, _ELSEWHERE, 403)
        who = self._who(asked)
        wait_s = self._patience.wait_s(who)
        if wait_s:
            said = f"Too many wrong keys. Try again in {wait_s} s."
            response = await self.form(asked, said, 429)
            response.headers["Retry-After"] = str(wait_s)
            return response
        key = form.get("key", "").strip().encode()
        statement = self._sessions.begin(key, asked.now)
        browser = self._browsers.begin(key, asked.now)
        if statement is None or browser is None:
            self._patience.note(who)
            _log.warning("no_valid_key", path=SIGN_IN)
            return await self.form(asked, _WRONG, 401)
        response = RedirectResponse(ours(form.get("next", HOME)), 303)
        _set(response, asked, COOKIE, statement, LASTS)
        _set(response, asked, BROWSER_COOKIE, browser, KNOWN_FOR)
        return response

    def _who(self, asked: Asked) -> str:
        """Whose wrong keys are counted together.

        A browser that somebody has signed in with is counted for itself, so that strangers who come
        by the same address keep nobody out for whom the door was open before.
        """
        # https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies
        browser = asked.cookie(BROWSER_COOKIE)
        if self._browsers.holds(browser, asked.now):
            return browser
        return self._whence.of(asked.client, asked.forwarded)

    async def sign_out(self, asked: Asked, receive: Receive) -> Response:
        """Let somebody go."""
        await read_form(receive)
        if not asked.is_of_this_site:
            return await self.form(asked, _ELSEWHERE, 403)
        response = RedirectResponse(SIGN_IN, 303)
        _set(response, asked, COOKIE, "", timedelta())
        return response


def _set(response: Response, asked: Asked, name: str, value: str, lasts: timedelta) -> None:
    response.set_cookie(
        name,
        value,
        max_age=int(lasts.total_seconds()),
        path=HOME,
        secure=asked.is_secure,
        httponly=True,
        samesite="strict",
    )
