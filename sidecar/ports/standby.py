"""What is remembered of the facts, for whoever may be decided by that while the store is away?"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from sidecar.domain.limits import Charge
from sidecar.domain.manifest import Manifest
from sidecar.domain.request import Amounts, Subject
from sidecar.domain.subscription import Subscription
from sidecar.domain.usage import Metering


class Standby(Protocol):
    """The last readings, and what this process has let through since; it never waits.

    Only limits whose failure mode is local are remembered, and whose plans have such limits.
    """

    def note(
        self,
        subject: Subject,
        facts: tuple[Subscription, Manifest | None],
        charges: Sequence[Charge],
        metering: Metering,
        now: datetime,
    ) -> None:
        """Remember what others said, and what the store read and holds."""
        ...

    def facts(self, subject: Subject) -> tuple[Subscription, Manifest | None] | None:
        """What others last said of a subject, None where that is not known."""
        ...

    def read(self, subject: Subject, charges: Sequence[Charge], now: datetime) -> Metering:
        """The readings of those limits that are decided by what is remembered."""
        ...

    def hold(
        self,
        reservation_id: str,
        subject: Subject,
        charges: Sequence[Charge],
        now: datetime,
        until: datetime,
    ) -> None:
        """Note units that were let through without the store."""
        ...

    def settle(self, reservation_id: str, used: Amounts, now: datetime) -> None:
        """Note what a run has used, or with nothing that it gave all back."""
        ...

    def use(self, subject: Subject, charges: Sequence[Charge], now: datetime) -> None:
        """Note what was reported without the store."""
        ...
