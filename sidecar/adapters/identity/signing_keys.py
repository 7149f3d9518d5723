"""With what are portal tokens signed, at every replica alike and with nothing kept anywhere?"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_LABEL: Final = b"mozaiks-sidecar portal tokens v1"
_WORK: Final = 2**14
"""Of scrypt, 16 MiB and 50 ms: what users hold may not tell a key to whoever guesses."""


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """Keys by the name that stands in a token.

    Attributes:
        first: the name of the one that signs.
    """

    first: str
    known: Mapping[str, bytes] = field(repr=False)


def signing_keys(secrets: Sequence[str], or_from: Sequence[str]) -> SigningKeys:
    """Keys from secrets that are for this alone, else from those that callers show.

    The first signs; what the others have signed still holds. The same secrets give the same keys.

    Args:
        or_from: may be short enough to be guessed, and a token is something to try guesses on.
    """
    if secrets:
        keys = [hmac.digest(secret.encode(), _LABEL, "sha256") for secret in secrets]
    else:
        keys = [_stretched(secret) for secret in or_from]
    named = {_name(key): key for key in keys}
    return SigningKeys(_name(keys[0]), named)


def _stretched(secret: str) -> bytes:
    return hashlib.scrypt(secret.encode(), salt=_LABEL, n=_WORK, r=8, p=1, dklen=32)


def _name(key: bytes) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key, b"name", "sha256")[:6]).decode()
