"""Which apps are there?"""

from collections.abc import Sequence
from typing import Protocol


class Apps(Protocol):
    """Apps for which something was counted, for people who look around."""

    async def latest(self, most: int, *, since: float) -> Sequence[str]:
        """Some of them; where there are more, those that the store heard of last.

        Raises:
            Unavailable: the store did not answer in time.
        """
        ...
