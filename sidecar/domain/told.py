"""What is told instead of read: counters of a test, and facts of a question that begins with if."""

from collections.abc import Collection, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta

from sidecar.domain.limits import Charge, Reading
from sidecar.domain.request import Subject
from sidecar.domain.subscription import Subscription
from sidecar.domain.value import value
from sidecar.domain.wallet import Wallet, no_wallet
from sidecar.domain.windows import Sliding, from_ms, to_ms


@value
class Told:
    """What counters hold, by the id of the limit that reads them; what is not told is 0.

    Attributes:
        balance: of the wallet, None where nobody told one. Nothing was spent of it since, unless
            that is told as use of its limit.
        knows_balance: whether it could be had what was told.
    """

    used: Mapping[str, int] = field(default_factory=dict)
    reserved: Mapping[str, int] = field(default_factory=dict)
    granted: Mapping[str, int] = field(default_factory=dict)
    balance: int | None = None
    knows_balance: bool = True

    def wallet(self, subject: Subject) -> Wallet | None:
        """The balance as whoever keeps it would have told it, None where it cannot be had."""
        return replace(no_wallet(subject), balance=self.balance) if self.knows_balance else None

    def reading(self, charge: Charge, now: datetime) -> Reading:
        """What a store that holds this would have read for a charge."""
        name = charge.limit.id
        used, reserved = self.used.get(name, 0), self.reserved.get(name, 0)
        return Reading(
            limit=charge.limit,
            used=used,
            reserved=reserved,
            requested=charge.amount,
            resets_at=_resets_at(charge, now, is_empty=not used),
            is_asked=charge.is_asked,
            granted=self.granted.get(name, 0) if charge.limit.scopes else 0,
        )

    def over(self, reading: Reading) -> Reading:
        """A reading with what is told in the place of what was read."""
        name, used = reading.limit.id, reading.used
        if reading.limit.base is not None and self.balance is not None:
            used = 0
        return replace(
            reading,
            used=self.used.get(name, used),
            reserved=self.reserved.get(name, reading.reserved),
            granted=self.granted.get(name, reading.granted),
        )

    @property
    def names(self) -> Collection[str]:
        """The limits that something is told of."""
        return {*self.used, *self.reserved, *self.granted}


@value
class WhatIf:
    """Facts that are taken for granted in a question; where nothing is said they are as they are.

    Attributes:
        now: another instant. What counters hold then is not known, so all that is not told is 0.
    """

    subscription: Subscription | None = None
    counters: Told = Told()
    now: datetime | None = None


AS_IT_IS = WhatIf()


def _resets_at(charge: Charge, now: datetime, *, is_empty: bool) -> datetime | None:
    window = charge.limit.window
    if isinstance(window, Sliding):
        # Nobody told when it was used: as if it had been this instant.
        return None if is_empty else now + timedelta(milliseconds=window.length_ms)
    end_ms = window.period(to_ms(now), charge.cycle).end_ms
    return None if end_ms is None else from_ms(end_ms)
