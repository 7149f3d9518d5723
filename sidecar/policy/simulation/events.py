"""What happened: something was asked, or something was used."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sidecar.domain.decision import Effect, Reason
from sidecar.domain.request import CheckRequest
from sidecar.domain.subscription import Subscription
from sidecar.domain.usage import UsageEvent
from sidecar.domain.wallet import Wallet


@dataclass(frozen=True, slots=True)
class Said:
    """An answer, as far as answers are compared.

    Attributes:
        because: ids of what made it what it is: the refusals of a deny, every reason of a warning.
    """

    effect: Effect
    because: tuple[str, ...] = ()

    @classmethod
    def of(cls, effect: Effect, reasons: Iterable[Reason]) -> "Said":
        """What a decision says with its reasons."""
        if effect is Effect.DENY:
            return cls(effect, tuple(reason.id for reason in reasons if reason.refuses))
        return cls(effect, tuple(reason.id for reason in reasons))


@dataclass(frozen=True, slots=True)
class Asked:
    """A check.

    Attributes:
        subscription: as it was recorded, None where that is not known.
        said: what was answered then, None where that is not known.
        reservation: that the answer then gave, empty for none.
        limits: what was read then, as it was written down.
        wallet: the balance as it was told then, None where that is not known.
        degraded: whether a fact could not be had then.
        hidden: whether something that rules may look at was not written down.
    """

    at: datetime
    request: CheckRequest
    subscription: Subscription | None = None
    said: Said | None = None
    reservation: str = ""
    limits: tuple[Mapping[str, Any], ...] = ()
    degraded: bool = False
    hidden: bool = False
    wallet: Wallet | None = None


@dataclass(frozen=True, slots=True)
class Used:
    """A report of use."""

    event: UsageEvent

    @property
    def at(self) -> datetime:
        """When it was used."""
        return self.event.at


Event = Asked | Used
