"""Which user brings this token? Its header says who signed it, and by whose rules it is judged."""

from sidecar.adapters.identity.app_tokens import AppTokens
from sidecar.adapters.identity.form import header_of
from sidecar.adapters.identity.portal_tokens import TYPE, PortalTokens
from sidecar.domain.identity import PortalToken
from sidecar.domain.request import Subject
from sidecar.errors import IdentityRefused


class KnownIdentities:
    """Users by portal tokens, and by the app's own where their issuer is known.

    Each kind has its own keys and its own algorithms: no token can choose by which it is judged.
    """

    def __init__(self, portal: PortalTokens, app: AppTokens | None) -> None:
        self._portal = portal
        self._app = app

    async def subject_of(self, token: str) -> Subject:
        """The user that a token is for.

        Raises:
            IdentityRefused, IdentityUnavailable: there is none, or that cannot be told.
        """
        header = header_of(token)
        if header.get("typ") == TYPE:
            return self._portal.subject_of(token, header)
        if self._app is None:
            raise IdentityRefused("what was brought is no portal token, and no other is known here")
        return await self._app.subject_of(token, header)

    async def issue(self, subject: Subject, ttl_s: int) -> PortalToken:
        """A portal token."""
        return self._portal.issue(subject, ttl_s)
