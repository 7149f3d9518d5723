"""Is it a token at all, in the one way in which it can be written?

Nothing is believed of what is read here: it only says by which rules a token is judged.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Final

from sidecar.errors import IdentityRefused

LONGEST: Final = 8_192
"""Characters. Those that identity providers make have up to a few thousand."""
_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


def header_of(token: str) -> Mapping[str, object]:
    """The header of a compact JWS.

    Raises:
        IdentityRefused: it is none, or could be written in another way too.
    """
    if len(token) > LONGEST:
        raise IdentityRefused(f"a token of more than {LONGEST:,} characters")
    # Signatures differ where they are decoded, so what decodes alike is taken in one form alone.
    if _FORM.fullmatch(token) is None:
        raise IdentityRefused("what was brought is no token")
    header, *_ = (_decoded(part) for part in token.split("."))
    try:
        read = json.loads(header)
    except (ValueError, RecursionError):
        raise IdentityRefused("the header of the token cannot be read") from None
    if not isinstance(read, dict):
        raise IdentityRefused("the header of the token cannot be read")
    return read


def _decoded(part: str) -> bytes:
    try:
        decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        raise IdentityRefused("what was brought is no token") from None
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != part.encode():
        raise IdentityRefused("what was brought is no token")
    return decoded
