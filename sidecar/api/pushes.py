"""What the billing side pushes; each body hands over a value of the domain."""

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from sidecar.api.fields import MAX_TEXT, Attributes, Balance, Count, Instant, Name, Text
from sidecar.domain.grants import Grant
from sidecar.domain.request import MeterKind
from sidecar.domain.subscription import Status, Subscription
from sidecar.domain.wallet import Wallet

PUSH_AHEAD = timedelta(days=1)

PushedStatus = Literal[
    "active", "trialing", "past_due", "paused", "unpaid", "canceled",
    "incomplete", "incomplete_expired", "inactive",
]  # fmt: skip


def _either(camel: str, snake: str) -> AliasChoices:
    return AliasChoices(camel, snake)


class SubscriptionBody(BaseModel):
    """`POST /api/internal/subscription/sync`; camelCase or snake_case, unknown fields ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, populate_by_name=True)

    user_id: Name = Field(validation_alias=_either("userId", "user_id"))
    plan: Text | None
    status: PushedStatus
    app_id: Text | None = Field(None, validation_alias=_either("appId", "app_id"))
    billing_cycle: Text | None = Field(
        None, validation_alias=_either("billingCycle", "billing_cycle")
    )
    next_billing_date: Instant | None = Field(
        None, validation_alias=_either("nextBillingDate", "next_billing_date")
    )
    trial_end: Instant | None = Field(
        None, validation_alias=_either("trialEndDate", "trial_end_date")
    )
    period_start: Instant | None = Field(
        None, validation_alias=_either("currentPeriodStart", "current_period_start")
    )
    period_end: Instant | None = Field(
        None, validation_alias=_either("currentPeriodEnd", "current_period_end")
    )
    cancel_at_period_end: Annotated[bool, WithJsonSchema({"type": ["boolean", "null"]})] = Field(
        False, validation_alias=_either("cancelAtPeriodEnd", "cancel_at_period_end")
    )
    external_id: Text | None = Field(
        None, validation_alias=_either("stripeSubscriptionId", "stripe_subscription_id")
    )
    event_id: Text | None = Field(None, validation_alias=_either("eventId", "event_id"))
    updated_at: Instant | None = Field(None, validation_alias=_either("updatedAt", "updated_at"))
    metadata: Attributes | None = None

    @field_validator("cancel_at_period_end", mode="before")
    @classmethod
    def _null_is_false(cls, value: object) -> object:
        return False if value is None else value

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if not self.plan and self.status != "trialing":
            raise ValueError("plan: only a trial may leave its plan to the policy")
        if self.period_start and self.period_end and self.period_end <= self.period_start:
            raise ValueError("currentPeriodEnd: not after currentPeriodStart")
        return self

    def subscription(self, now: datetime) -> Subscription:
        """The state that is pushed; its arrival counts where it does not say when.

        Raises:
            ValueError: it claims to be from the future, and would make all later pushes stale.
        """
        if self.updated_at is not None and self.updated_at > now + PUSH_AHEAD:
            raise ValueError("updatedAt: more than a day ahead")
        return Subscription(
            user_id=self.user_id,
            app_id=self.app_id or "",
            plan=self.plan or "",
            status=Status(self.status),
            billing_cycle=self.billing_cycle or "",
            next_billing_date=self.next_billing_date,
            trial_end=self.trial_end,
            period_start=self.period_start,
            period_end=self.period_end,
            cancel_at_period_end=self.cancel_at_period_end,
            external_id=self.external_id or "",
            metadata=self.metadata or {},
            event_id=self.event_id or "",
            updated_at=self.updated_at or now,
            is_dated=self.updated_at is not None,
        )


_PER_APP = "needed: a grant is drawn per app, so it names both userId and appId"


def _present(value: object) -> object:
    if value in (None, ""):
        raise ValueError(_PER_APP)
    return value


Owner = Annotated[str, BeforeValidator(_present), Field(min_length=1, max_length=MAX_TEXT)]


class GrantBody(BaseModel):
    """`POST /api/internal/grants/sync`; camelCase or snake_case, unknown fields ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, populate_by_name=True)

    grant_id: Name = Field(validation_alias=_either("grantId", "grant_id"))
    user_id: Owner = Field(validation_alias=_either("userId", "user_id"))
    app_id: Owner = Field(validation_alias=_either("appId", "app_id"))
    amount: Count
    limit: Text | None = None
    meter: Literal["tokens", "input_tokens", "output_tokens", "requests", "cost"] | None = None
    effective_at: Instant | None = Field(
        None, validation_alias=_either("effectiveAt", "effective_at")
    )
    expires_at: Instant | None = Field(None, validation_alias=_either("expiresAt", "expires_at"))
    reason: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _whose(cls, body: object) -> object:
        """Let both owners stand there, so that whoever left one out is told why it is needed."""
        if not isinstance(body, dict):
            return body
        names = (("userId", "user_id"), ("appId", "app_id"))
        absent = {camel: None for camel, snake in names if snake not in body}
        return absent | body

    def grant(self, now: datetime) -> Grant:
        """The units that are granted; from their arrival on where nothing else is said.

        Raises:
            ValueError: it does not say what they are units of, or they can never be drawn.
        """
        if (not self.limit) == (self.meter is None):
            raise ValueError("limit: give limit or meter, the one or the other")
        if self.effective_at and self.expires_at and self.expires_at <= self.effective_at:
            raise ValueError("expiresAt: not after effectiveAt")
        return Grant(
            id=self.grant_id,
            app_id=self.app_id,
            user_id=self.user_id,
            limit=self.limit or "",
            meter=self.meter and MeterKind(self.meter),
            amount=self.amount,
            effective_at=self.effective_at or now,
            expires_at=self.expires_at,
            reason=self.reason or "",
        )


class WalletBody(BaseModel):
    """`POST /api/internal/wallet/sync`; camelCase or snake_case, unknown fields ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, populate_by_name=True)

    user_id: Name = Field(validation_alias=_either("userId", "user_id"))
    app_id: Name = Field(validation_alias=_either("appId", "app_id"))
    balance: Balance
    currency: Name
    as_of: Instant = Field(validation_alias=_either("asOf", "as_of"))
    wallet_id: Text | None = Field(None, validation_alias=_either("walletId", "wallet_id"))

    def wallet(self, now: datetime) -> Wallet:
        """The balance that is told.

        Raises:
            ValueError: it claims to be from the future, and would make all later ones stale.
        """
        if self.as_of > now + PUSH_AHEAD:
            raise ValueError("asOf: more than a day ahead")
        return Wallet(
            self.app_id,
            self.user_id,
            self.balance,
            self.currency,
            self.as_of,
            name=self.wallet_id or "",
        )


SUBSCRIPTION = TypeAdapter(SubscriptionBody)
GRANT = TypeAdapter(GrantBody)
WALLET = TypeAdapter(WalletBody)
