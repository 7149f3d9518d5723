"""Is a line what a decision log writes? Judged before anything is computed with it."""

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from sidecar.domain.decision import Effect
from sidecar.domain.request import MAX_INTEGER, MeterKind


def _moment(text: str) -> str:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None or not 1970 <= at.year <= 9000:
        raise ValueError("no time of this age with its offset from UTC")
    return text


_Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
_Effect = Annotated[Effect, Field(strict=False)]
_Meter = Annotated[MeterKind, Field(strict=False)]
_Moment = Annotated[str, AfterValidator(_moment)]


class _Part(BaseModel):
    """A part of a line; what is not read may be anything."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class _Request(_Part):
    app_id: str
    user_id: str
    tenant_id: str
    plugin: str = ""
    feature: str = ""
    action: str = ""
    workflow: str = ""
    agent: str = ""
    model: str = ""
    session_id: str = ""
    request_id: str = ""
    estimate: dict[_Meter, _Count]
    attributes: dict[str, Any] = {}
    reserve: bool = False
    ttl_s: _Count = 60


class _Subscription(_Part):
    plan: str
    status: str
    status_since: _Moment
    billing_cycle: str
    cancel_at_period_end: bool
    metadata: dict[str, Any] = {}
    next_billing_date: _Moment | None = None
    trial_end: _Moment | None = None
    period_start: _Moment | None = None
    period_end: _Moment | None = None


class _Limit(_Part):
    id: str
    meter: str
    window: str
    per: list[str]
    used: _Count
    reserved: _Count


class _Wallet(_Part):
    balance: Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)] | None
    as_of: _Moment | None


class _Reason(_Part):
    id: str
    effect: str
    mode: str


class _Line(_Part):
    at: _Moment
    effect: _Effect
    request: _Request
    subscription: _Subscription | None
    limits: list[_Limit]
    wallet: _Wallet | None = None
    reasons: list[_Reason]
    reservation: str | None
    allows: Annotated[float, Field(ge=0, le=1)]
    hidden: _Count


RECORDED_LINE: Final = TypeAdapter(_Line)
