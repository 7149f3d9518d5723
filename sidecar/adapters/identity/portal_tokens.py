"""Whom is a portal token for? It says so itself, signed by one of the replicas."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import jwt

from sidecar.adapters.identity.claims import NOT_SIGNED, claims_of, name_in
from sidecar.adapters.identity.signing_keys import SigningKeys
from sidecar.domain.identity import LONGEST_TOKEN_S, PortalToken
from sidecar.domain.request import Subject
from sidecar.errors import IdentityRefused
from sidecar.ports import Clock

TYPE: Final = "portal+jwt"
_AUDIENCE: Final = "urn:mozaiks:sidecar:portal:v1"
"""Another form of token will be for another audience."""
_ALGORITHM: Final = "HS256"
_REQUIRED: Final = ("aud", "exp", "iat", "app", "sub")


class PortalTokens:
    """Signs tokens and reads those that are signed with a key that is known."""

    def __init__(self, keys: SigningKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    def issue(self, subject: Subject, ttl_s: int) -> PortalToken:
        """A token for a subject, from now on."""
        now = self._clock.now().replace(microsecond=0)
        expires_at = now + timedelta(seconds=ttl_s)
        claims: dict[str, object] = {
            "aud": _AUDIENCE,
            "app": subject.app_id,
            "sub": subject.user_id,
            "iat": int(now.timestamp()),
            "exp": int(expires_at.timestamp()),
        }
        if subject.tenant_id:
            claims["ten"] = subject.tenant_id
        key = self._keys.known[self._keys.first]
        header = {"kid": self._keys.first, "typ": TYPE}
        return PortalToken(jwt.encode(claims, key, _ALGORITHM, header), expires_at)

    def subject_of(self, token: str, header: Mapping[str, object]) -> Subject:
        """Whom it is for.

        Raises:
            IdentityRefused: nobody.
        """
        key = self._keys.known.get(str(header.get("kid")))
        if key is None:
            raise IdentityRefused(NOT_SIGNED)
        claims = claims_of(token, key, _ALGORITHM, audience=[_AUDIENCE], required=_REQUIRED)
        if claims["exp"] - claims["iat"] > LONGEST_TOKEN_S:
            raise IdentityRefused("the token is for longer than any may be")
        tenant_id = name_in(claims, "ten") if "ten" in claims else ""
        return Subject(name_in(claims, "app"), name_in(claims, "sub"), tenant_id)
