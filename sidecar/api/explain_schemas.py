"""A check with facts that are taken for granted."""

from datetime import datetime
from typing import Annotated

from pydantic import (
    Field,
    TypeAdapter,
)

from sidecar.api.fields import Attributes, Balance, Body, Count, Instant, Name, Text
from sidecar.api.schemas import CheckBody
from sidecar.domain.request import Subject
from sidecar.domain.subscription import Status, Subscription
from sidecar.domain.told import Told, WhatIf

MAX_COUNTERS = 500


class HeldBody(Body):
    """A subscription that is taken for granted; `status_since` is when the status began."""

    plan: Text | None = None
    status: Annotated[Status, Field(strict=False)] = Status.ACTIVE
    billing_cycle: Text | None = None
    next_billing_date: Instant | None = None
    trial_end: Instant | None = None
    current_period_start: Instant | None = None
    current_period_end: Instant | None = None
    cancel_at_period_end: bool = False
    status_since: Instant | None = None
    metadata: Attributes | None = None

    def subscription(self, subject: Subject, now: datetime) -> Subscription:
        """The state of a subject; it began now where nothing else is said."""
        return Subscription(
            user_id=subject.user_id,
            app_id=subject.app_id,
            plan=self.plan or "",
            status=self.status,
            billing_cycle=self.billing_cycle or "",
            next_billing_date=self.next_billing_date,
            trial_end=self.trial_end,
            period_start=self.current_period_start,
            period_end=self.current_period_end,
            cancel_at_period_end=self.cancel_at_period_end,
            metadata=self.metadata or {},
            updated_at=self.status_since or now,
        )


Counters = Annotated[dict[Name, Count], Field(max_length=MAX_COUNTERS)]


class BalanceBody(Body):
    """A balance that is taken for granted, in micro-units."""

    balance: Balance


class GivenBody(Body):
    """Facts that are taken for granted; counters by the id of a limit."""

    subscription: HeldBody | None = None
    used: Counters = Field({})
    reserved: Counters = Field({})
    granted: Counters = Field({})
    wallet: BalanceBody | None = None
    now: Instant | None = None

    def what_if(self, subject: Subject, now: datetime) -> WhatIf:
        """The same as facts; `now` is the instant unless another is given."""
        held = self.subscription
        return WhatIf(
            subscription=held.subscription(subject, self.now or now) if held else None,
            counters=Told(
                self.used,
                self.reserved,
                self.granted,
                balance=None if self.wallet is None else self.wallet.balance,
            ),
            now=self.now,
        )


class ExplainBody(CheckBody):
    """`POST /v1/explain`: a check, and what is to be taken for granted."""

    trace: bool = False
    given: GivenBody = GivenBody()


EXPLAIN = TypeAdapter(ExplainBody)
