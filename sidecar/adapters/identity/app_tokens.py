"""Whom is the app's own token for? Its identity provider says so, under names that are set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.adapters.identity.claims import claims_of, name_in
from sidecar.adapters.identity.key_set import KINDS, KeySet
from sidecar.domain.request import Subject
from sidecar.errors import IdentityRefused

_REQUIRED: Final = ("iss", "aud", "exp")


@dataclass(frozen=True, slots=True)
class Expected:
    """What such a token must say.

    Attributes:
        issuer: its `iss`, to the letter.
        audiences: of which its `aud` has one.
        app_claim, user_claim, tenant_claim: where the names stand; no tenant where that is empty.
    """

    issuer: str
    audiences: Sequence[str]
    app_claim: str
    user_claim: str
    tenant_claim: str = ""


class AppTokens:
    """Reads tokens that the app's identity provider has signed."""

    def __init__(self, keys: KeySet, expected: Expected) -> None:
        self._keys = keys
        self._expected = expected

    async def subject_of(self, token: str, header: Mapping[str, object]) -> Subject:
        """Whom it is for.

        Raises:
            IdentityRefused: nobody.
            IdentityUnavailable: the keys to judge it by cannot be had.
        """
        algorithm, expected = header.get("alg"), self._expected
        if not isinstance(algorithm, str) or algorithm not in KINDS:
            raise IdentityRefused(f"a token is signed with {', '.join(KINDS)}, and nothing else")
        key = await self._keys.key_for(algorithm, header.get("kid"))
        claims = claims_of(
            token,
            key,
            algorithm,
            audience=expected.audiences,
            issuer=expected.issuer,
            required=(*_REQUIRED, expected.app_claim, expected.user_claim),
        )
        tenant = expected.tenant_claim
        return Subject(
            name_in(claims, expected.app_claim),
            name_in(claims, expected.user_claim),
            "" if claims.get(tenant) is None else name_in(claims, tenant),
        )
