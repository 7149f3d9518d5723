"""What does a token say? PyJWT judges it; what it finds wrong is told in our words."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import jwt

from sidecar.errors import IdentityRefused

LEEWAY_S: Final = 30
"""Clocks differ by that much."""
NOT_SIGNED: Final = "the token is malformed, or not signed by anybody who may"
_LONGEST_NAME: Final = 256


def claims_of(
    token: str,
    key: jwt.PyJWK | bytes,
    algorithm: str,
    *,
    audience: Iterable[str],
    issuer: str | None = None,
    required: Iterable[str],
) -> Mapping[str, Any]:
    """The claims of a token that holds here and now.

    Args:
        algorithm: the only one that it may be signed with; never what its header says alone.

    Raises:
        IdentityRefused: it does not.
    """
    try:
        found: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=list(audience),
            issuer=issuer,
            leeway=LEEWAY_S,
            options={"require": list(required), "enforce_minimum_key_length": True},
        )
    except jwt.ExpiredSignatureError:
        raise IdentityRefused("the token has expired") from None
    except jwt.ImmatureSignatureError:
        raise IdentityRefused("the token does not hold yet") from None
    except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
        raise IdentityRefused("the token is for somebody else, or from somebody else") from None
    except jwt.MissingRequiredClaimError as error:
        raise IdentityRefused(f"the token does not say {error.claim}") from None
    except (jwt.PyJWTError, ValueError, OverflowError):
        # Claims of any type may stand in it, and numbers of any size.
        raise IdentityRefused(NOT_SIGNED) from None
    return found


def name_in(claims: Mapping[str, Any], claim: str) -> str:
    """A name that is told.

    Raises:
        IdentityRefused: it is none that anybody here could have.
    """
    value = claims.get(claim)
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST_NAME:
        raise IdentityRefused(
            f"the token's {claim!r} is no text of 1 to {_LONGEST_NAME} characters"
        )
    return value
