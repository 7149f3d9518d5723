"""How is use counted and held?"""

from collections.abc import Sequence
from typing import Protocol

from sidecar.domain.grants import Grant, GrantBalance, GrantOutcome
from sidecar.domain.limits import Charge
from sidecar.domain.request import Amounts, CheckRequest, Subject
from sidecar.domain.usage import (
    ChargedEvent,
    Hold,
    Metering,
    Settlement,
    Tally,
    UsageRow,
)


class Meter(Protocol):
    """Counts what is used and holds what is reserved, each change exactly once.

    Raises, every method:
        MeterUnavailable: the store did not answer in time; whether it applied is unknown,
            and the same call again is harmless.
    """

    async def read(self, subject: Subject, charges: Sequence[Charge], *, since: float) -> Metering:
        """What the counters of these charges hold, and what grants add for the subject."""
        ...

    async def reserve(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Metering:
        """Hold every charge, or none if an enforced limit has no room.

        Raises:
            RequestIdReused: the request's id came before with another body.
        """
        ...

    async def recall(
        self, hold: Hold, charges: Sequence[Charge], *, since: float
    ) -> Metering | None:
        """The first answer to a request whose id came before, None if none is remembered.

        Raises:
            RequestIdReused: the request's id came before with another body.
        """
        ...

    async def extend(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Metering:
        """Hold further units, or none, and let the reservation live its `ttl_s` from now.

        Raises:
            UnknownReservation, ReservationEnded: there is nothing live to extend.
        """
        ...

    async def held_request(self, reservation_id: str, *, since: float) -> CheckRequest:
        """The request that a live reservation was made for.

        Raises:
            UnknownReservation, ReservationEnded: there is no live one.
        """
        ...

    async def commit(
        self,
        reservation_id: str,
        used: Amounts,
        *,
        final: bool,
        since: float,
        model: str = "",
    ) -> Settlement:
        """Charge what the run has used so far, in the windows in which it was held.

        `used` is the total of the hold, not a difference: repeating a commit is harmless.
        A final one gives the rest back. After expiry it still charges. Where grants pay for
        what is held, the allowance's part is used up first.

        Args:
            used: a cost that is UNTOLD follows from the hold's rates.
            model: reported instead of the one that the check named.

        Raises:
            UnknownReservation, ReservationEnded: no such one, or it was released.
        """
        ...

    async def release(self, reservation_id: str, *, since: float) -> Settlement:
        """Give back all that is held.

        Raises:
            UnknownReservation, ReservationEnded: no such one, or it was committed.
        """
        ...

    async def withdraw(self, reservation_id: str, *, since: float) -> None:
        """Undo a reservation whose request was refused after all, and forget it.

        One that is not known is undone already.

        Raises:
            ReservationEnded: it was committed.
        """
        ...

    async def record(self, app_id: str, events: Sequence[ChargedEvent], *, since: float) -> Tally:
        """Count events that were not counted before, each in the window of its own time.

        Raises:
            OutboxFull: none was counted, because too many wait to be delivered.
        """
        ...

    async def grant(self, grant: Grant, *, since: float) -> tuple[GrantOutcome, GrantBalance]:
        """Add units to what a user may use, or revoke what is left of them.

        Whatever came first under an id stays: the same again does nothing, and what is revoked
        stays revoked.

        Raises:
            GrantConflict: the id came before with other content, or the user has too many.
        """
        ...

    async def grants(self, subject: Subject, *, since: float) -> tuple[GrantBalance, ...]:
        """The grants that a user has in an app, in the order in which they are drawn."""
        ...

    async def usage(
        self, app_id: str, user_id: str | None, first_hour: int, last_hour: int, *, since: float
    ) -> tuple[UsageRow, ...]:
        """What was used hour by hour, the earliest first; of one user, or of all together (None).

        Args:
            first_hour, last_hour: hours since 1970, both included.
        """
        ...

    async def ping(self, *, since: float) -> None:
        """Return if the store answers."""
        ...
