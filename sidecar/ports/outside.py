"""Who takes the money, and what waits to be told to the outside?"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from sidecar.domain.checkout import Checkout, OnBehalf
from sidecar.domain.notices import Message


class Payments(Protocol):
    """Whoever takes the money; what it leads to comes back as a subscription."""

    async def checkout(self, plan: str, who: OnBehalf) -> Checkout:
        """The page on which a user buys a plan.

        Raises:
            PaymentsRefused, PaymentsUnavailable: there is none to be had.
        """
        ...

    async def cancel(self, who: OnBehalf) -> None:
        """Ask for the end of a user's subscription.

        Raises:
            PaymentsRefused, PaymentsUnavailable: it was not taken.
        """
        ...


class Notices(Protocol):
    """What waits to be told to the outside; the same occasion is told once.

    Raises, every method:
        Unavailable: the store did not answer in time; the same call again is harmless.
    """

    async def add(
        self, message: Message, occasion: str, at: datetime, until: datetime, *, since: float
    ) -> bool:
        """Let a message wait, unless its occasion was told before; whether it waits now.

        Args:
            at, until: from when it is due, and from when on the occasion is another one.
        """
        ...

    async def take(
        self, now: datetime, until: datetime, most: int, *, since: float
    ) -> Sequence[Message]:
        """Messages that are due; nobody else gets them before `until`."""
        ...

    async def settle(self, message_id: str, again_at: datetime | None, *, since: float) -> None:
        """Forget a message that was taken or given up, or try it again later."""
        ...
