"""`POST /v1/portal-tokens`: what an app gives to the browser of one of its users."""

import structlog
from starlette.responses import Response

from sidecar.api.answer import json_response
from sidecar.api.endpoint import Call
from sidecar.api.schemas import PORTAL_TOKEN
from sidecar.ports import Identities

_log = structlog.get_logger("sidecar.portal")


class PortalTokens:
    """Gives out tokens.

    Args:
        page: where browsers reach the page; a path alone, where nobody has said.
    """

    def __init__(self, identities: Identities, page: str) -> None:
        self._identities = identities
        self._page = page
        self._is_said = not page.startswith("/")

    async def issue(self, call: Call) -> Response:
        """One, for the user that is named."""
        asked = call.read(PORTAL_TOKEN)
        if not self._is_said:
            self._is_said = True
            _log.warning("portal_url_unset", url=self._page, setting="SIDECAR_PORTAL_URL")
        token = await self._identities.issue(asked.subject(), asked.ttl_s)
        body = {
            "token": token.text,
            "expires_at": token.expires_at,
            # What stands behind the # is sent to no server, so no log and no referrer has it.
            "url": f"{self._page}#token={token.text}",
        }
        return json_response(body, 201)
