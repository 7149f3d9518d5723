"""Which user is it who asks for himself?"""

from typing import Protocol

from sidecar.domain.identity import PortalToken
from sidecar.domain.request import Subject


class Identities(Protocol):
    """Whoever can tell users by what they bring."""

    async def subject_of(self, token: str) -> Subject:
        """The user that a token is for.

        Raises:
            IdentityRefused: it is for nobody here, or not at this time.
            IdentityUnavailable: that cannot be told now.
        """
        ...

    async def issue(self, subject: Subject, ttl_s: int) -> PortalToken:
        """A token for a user, good at every replica.

        Args:
            ttl_s: how long, at most `LONGEST_TOKEN_S`.
        """
        ...
