"""What does a receiver need to know that a message is ours, whole and new?

Source: the Standard Webhooks specification 1.0, symmetric signatures.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sidecar.errors import ConfigurationError

_PREFIX: Final = "whsec_"
_LEAST, _MOST = 24, 64
"""Octets of a secret."""


class Signer:
    """Signs messages with a secret.

    Args:
        secret: `whsec_` and 24 to 64 octets in base64; several, with commas, while one takes
            the place of another: a message bears a signature of each.

    Raises:
        ConfigurationError: it is none.
    """

    def __init__(self, secret: str) -> None:
        self._keys = [_key(part.strip()) for part in secret.split(",") if part.strip()]
        if not self._keys:
            raise ConfigurationError("SIDECAR_WEBHOOK_SECRET: is needed with SIDECAR_WEBHOOK_URL")

    def headers(self, message_id: str, at: datetime, body: str) -> Mapping[str, str]:
        """The three headers of a message that is sent now."""
        seconds = int(at.timestamp())
        signed = f"{message_id}.{seconds}.{body}".encode()
        signatures = (hmac.digest(key, signed, hashlib.sha256) for key in self._keys)
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": " ".join(
                "v1," + base64.b64encode(each).decode() for each in signatures
            ),
        }


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(_PREFIX) or not _LEAST <= len(key) <= _MOST:
        raise ConfigurationError(
            f"SIDECAR_WEBHOOK_SECRET: write {_PREFIX} and {_LEAST} to {_MOST} random octets in "
            f'base64; make one with: echo "{_PREFIX}$(openssl rand -base64 32)"'
        )
    return key
