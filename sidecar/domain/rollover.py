"""What was left of a limit's last period, and where does it stand for the present one?"""

from dataclasses import replace
from datetime import datetime

from sidecar.domain.grants import Grant
from sidecar.domain.limits import Charge, Limit
from sidecar.domain.modes import Mode
from sidecar.domain.request import Amounts, CheckRequest, Subject
from sidecar.domain.usage import ChargedEvent, UsageEvent
from sidecar.domain.windows import BillingCycle, Fixed, from_ms

_NOTHING = Amounts()


def noting(limit: Limit, counter: str, cycle: BillingCycle) -> Charge:
    """The counter that says what is carried into each period of another one.

    It holds one more than the units, and 0 where nobody noted them yet.
    """
    return Charge(_silent(limit), f"carried:{counter}", 0, cycle)


def of_past(limit: Limit, counter: str, start: datetime, end: datetime) -> Charge:
    """The counter of a past period, as if it still ran and were the only one.

    Args:
        start: of that period.
        end: any instant to come.
    """
    whole = BillingCycle(start=start, end=end)
    return Charge(replace(_silent(limit), window=Fixed.BILLING_PERIOD), counter, 0, whole)


def note(subject: Subject, charge: Charge, name: str, now: datetime) -> ChargedEvent:
    """A report that counts in one counter alone, once for each name."""
    # What it was used for is not known, so that no report of use shows it.
    request = CheckRequest(subject, estimate=_NOTHING)
    return ChargedEvent(UsageEvent(name, now, request, _NOTHING), (charge,))


def grant_of(subject: Subject, limit: Limit, start_ms: int, end_ms: int, amount: int) -> Grant:
    """Units that are carried into a period, as the grant that they are there; 0 takes them back."""
    start = from_ms(start_ms)
    return Grant(
        id=f"rollover:{limit.id}:{start:%Y-%m-%dT%H:%M:%SZ}",
        app_id=subject.app_id,
        user_id=subject.user_id,
        limit=limit.id,
        meter=None,
        amount=amount,
        effective_at=start,
        expires_at=from_ms(end_ms),
        reason="rollover",
    )


def _silent(limit: Limit) -> Limit:
    """The same counter, of which nothing is said."""
    return replace(
        limit,
        maximum=None,
        allowance=None,
        warn_from=None,
        mode=Mode.OFF,
        rollover=None,
        is_stated=False,
    )
