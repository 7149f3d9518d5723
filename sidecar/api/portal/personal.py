"""Which user asks? Whoever the token says; nothing else in a request can name another one."""

from collections.abc import Awaitable, Callable

import structlog
from starlette.responses import Response

from sidecar.api.auth import Keys, bearer
from sidecar.api.endpoint import Call, Handler
from sidecar.api.problem import problem
from sidecar.domain.request import Subject
from sidecar.errors import IdentityRefused, IdentityUnavailable
from sidecar.ports import Identities

_log = structlog.get_logger("sidecar.api")

Shown = Callable[[Call, Subject], Awaitable[Response]]


class Personal:
    """Lets resources answer users of themselves.

    Browsers of other origins are not let in (no CORS): the page is of this one, and an app's own
    page asks through the app.
    """

    def __init__(self, identities: Identities, keys: Keys) -> None:
        self._identities = identities
        self._keys = keys

    def __call__(self, answer: Shown) -> Handler:
        """The resource, for whoever brings a token."""

        async def asked(call: Call) -> Response:
            if self._keys.knows(call.headers):
                # A key sees everybody: here it would see nobody, and a browser must not have it.
                detail = "This takes a user's token (POST /v1/portal-tokens), never a key."
                return problem(403, "forbidden", "A key is no user", detail)
            try:
                token = bearer(call.headers).decode("latin-1")
                if not token:
                    raise IdentityRefused("there is no token")
                subject = await self._identities.subject_of(token)
            except IdentityRefused as error:
                _log.info("no_valid_token", why=str(error))
                detail = f"Give a user's token as Authorization: Bearer …; here {error}."
                challenge = {"WWW-Authenticate": "Bearer"}
                return problem(401, "unauthenticated", "No valid token", detail, headers=challenge)
            except IdentityUnavailable as error:
                _log.warning("unavailable", error=str(error))
                wait = {"Retry-After": "10"}
                detail = f"Whose token this is cannot be told now: {error}."
                return problem(503, "identity_unavailable", "Try again", detail, headers=wait)
            return await answer(call, subject)

        return asked
