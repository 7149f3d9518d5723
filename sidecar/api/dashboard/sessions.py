"""Who is signed in, and who was before? A cookie says it, signed by a key that may read.

No server has to remember anybody, and all replicas that know the key agree. Whoever takes a key
out of use ends what it has signed.
"""

import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

SESSION: Final = b"sidecar dashboard session"
LASTS: Final = timedelta(hours=12)
BROWSER: Final = b"sidecar dashboard browser"
"""What a browser keeps that somebody has signed in with: it opens nothing."""
KNOWN_FOR: Final = timedelta(days=180)
_VERSION: Final = "1"


class Sessions:
    """Signs statements, and knows its own again.

    Args:
        keys: those that may sign in.
        purpose: what its statements are for; those for something else are none of its own.
        lasts: how long one holds.
    """

    def __init__(
        self, keys: Sequence[bytes], purpose: bytes = SESSION, lasts: timedelta = LASTS
    ) -> None:
        self._keys = tuple(keys)
        self._lasts = lasts
        # Whoever learns what signs does not learn the key.
        self._signing = tuple(hmac.digest(key, purpose, "sha256") for key in keys)

    def begin(self, presented: bytes, now: datetime) -> str | None:
        """A statement for whoever presents one of the keys, None for anybody else."""
        found: bytes | None = None
        for key, signing in zip(self._keys, self._signing, strict=True):
            # All are compared, each in constant time: how long it takes tells nothing.
            if hmac.compare_digest(key, presented):
                found = signing
        if found is None:
            return None
        until = int((now + self._lasts).timestamp())
        said = f"{_VERSION}.{until}.{secrets.token_urlsafe(12)}"
        return f"{said}.{_signature(found, said)}"

    def holds(self, statement: str, now: datetime) -> bool:
        """Whether it is one of ours, signed by a key that is still in use, and not over."""
        said, _, signature = statement.rpartition(".")
        presented = signature.encode()
        ours = [
            hmac.compare_digest(_signature(signing, said).encode(), presented)
            for signing in self._signing
        ]
        # Only what we have signed is read.
        return any(ours) and int(said.split(".")[1]) > now.timestamp()


def _signature(signing: bytes, said: str) -> str:
    return hmac.digest(signing, said.encode(), "sha256").hex()
