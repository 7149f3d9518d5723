"""Where do names come from that nobody can guess?

Asking the kernel takes longer than all the rest of making a name, so it is asked for many at once.
"""

import os
from base64 import urlsafe_b64encode
from typing import Final

_BYTES: Final = 3 * 2_048


class Nonces:
    """Random characters of the alphabet of base64, six bits each, none given out twice."""

    def __init__(self) -> None:
        self._text, self._at = "", 0
        # A process that began as a copy of this one must not go on with the same.
        os.register_at_fork(after_in_child=self._forget)

    def __call__(self, length: int) -> str:
        """So many characters, at most 8,192.

        22 are 132 bits.
        """
        begin = self._at
        self._at = end = begin + length
        if end > len(self._text):
            self._text = urlsafe_b64encode(os.urandom(_BYTES)).decode()
            begin, self._at = 0, length
        return self._text[begin : begin + length]

    def _forget(self) -> None:
        self._text, self._at = "", 0


nonce = Nonces()
