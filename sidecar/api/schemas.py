"""What is asked before and after a run, exactly; each body hands over a value of the domain."""

from typing import Annotated, Self

from pydantic import (
    Field,
    TypeAdapter,
    model_validator,
)

from sidecar.api.fields import Attributes, Body, Count, Name, Text
from sidecar.domain.identity import LONGEST_TOKEN_S
from sidecar.domain.request import MAX_INTEGER, UNTOLD, Amounts, CheckRequest, Subject

MAX_TTL_S = 86_400
MAX_CHECKS = 100
Seconds = Annotated[int, Field(ge=1, le=MAX_TTL_S)]


class EstimateBody(Body):
    """Tokens that a request may use."""

    input_tokens: Count = 0
    output_tokens: Count = 0

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.input_tokens + self.output_tokens > MAX_INTEGER:
            raise ValueError("the tokens add up to more than 2^53-1")
        return self

    def amounts(self) -> Amounts:
        """The estimate of one request."""
        return Amounts(
            tokens=self.input_tokens + self.output_tokens,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            requests=1,
            concurrency=1,
        )


class CheckBody(Body):
    """`POST /v1/check`."""

    app_id: Name
    user_id: Name
    tenant_id: Text | None = None
    plugin: Text | None = None
    feature: Text | None = None
    action: Text | None = None
    workflow: Text | None = None
    agent: Text | None = None
    model: Text | None = None
    session_id: Text | None = None
    estimate: EstimateBody | None = None
    estimated_tokens: Count | None = None
    attributes: Attributes | None = None
    reserve: bool = False
    ttl_s: Seconds = 60
    request_id: Text | None = None

    @model_validator(mode="after")
    def _one_estimate(self) -> Self:
        if self.estimate is not None and self.estimated_tokens is not None:
            raise ValueError("give estimate or estimated_tokens, not both")
        return self

    def request(self) -> CheckRequest:
        """The question that this body asks."""
        if self.estimate is not None:
            estimate = self.estimate.amounts()
        else:
            estimate = Amounts(tokens=self.estimated_tokens or 0, requests=1, concurrency=1)
        return CheckRequest(
            subject=Subject(self.app_id, self.user_id, self.tenant_id or ""),
            plugin=self.plugin or "",
            feature=self.feature or "",
            action=self.action or "",
            workflow=self.workflow or "",
            agent=self.agent or "",
            model=self.model or "",
            session_id=self.session_id or "",
            estimate=estimate,
            attributes=self.attributes or {},
            reserve=self.reserve,
            ttl_s=self.ttl_s,
            request_id=self.request_id or "",
        )


class ChecksBody(Body):
    """`POST /v1/checks`."""

    checks: Annotated[list[CheckBody], Field(min_length=1, max_length=MAX_CHECKS)]


class CommitBody(Body):
    """`POST /v1/reservations/{id}/commit`: the total of the run so far."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    total_tokens: Count | None = None
    model: Text | None = None
    final: bool = True

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.input_tokens is None and self.output_tokens is None and self.total_tokens is None:
            raise ValueError("say what was used: input_tokens and output_tokens, or total_tokens")
        if (self.input_tokens or 0) + (self.output_tokens or 0) > MAX_INTEGER:
            raise ValueError("the tokens add up to more than 2^53-1")
        return self

    def amounts(self) -> Amounts:
        """What was used."""
        parts = (self.input_tokens or 0) + (self.output_tokens or 0)
        untold = UNTOLD if self.input_tokens is None and self.output_tokens is None else 0
        return Amounts(
            tokens=parts if self.total_tokens is None else self.total_tokens,
            input_tokens=untold if self.input_tokens is None else self.input_tokens,
            output_tokens=untold if self.output_tokens is None else self.output_tokens,
        )


class ExtendBody(Body):
    """`POST /v1/reservations/{id}/extend`."""

    ttl_s: Seconds = 60
    estimate: EstimateBody | None = None
    request_id: Text | None = None

    def amounts(self) -> Amounts:
        """What is held in addition; the run is still the same one request."""
        asked = self.estimate or EstimateBody()
        return Amounts(
            tokens=asked.input_tokens + asked.output_tokens,
            input_tokens=asked.input_tokens,
            output_tokens=asked.output_tokens,
        )


class CheckoutBody(Body):
    """`POST /v1/checkout`."""

    app_id: Name
    user_id: Name
    plan: Name


class CancelBody(Body):
    """`POST /v1/checkout/cancel`."""

    app_id: Name
    user_id: Name


class PortalTokenBody(Body):
    """`POST /v1/portal-tokens`."""

    app_id: Name
    user_id: Name
    tenant_id: Text | None = None
    ttl_s: Annotated[int, Field(ge=1, le=LONGEST_TOKEN_S)] = 900

    def subject(self) -> Subject:
        """Whom the token is for."""
        return Subject(self.app_id, self.user_id, self.tenant_id or "")


CHECK = TypeAdapter(CheckBody)
CHECKS = TypeAdapter(ChecksBody)
COMMIT = TypeAdapter(CommitBody)
EXTEND = TypeAdapter(ExtendBody)
CHECKOUT = TypeAdapter(CheckoutBody)
CANCEL = TypeAdapter(CancelBody)
PORTAL_TOKEN = TypeAdapter(PortalTokenBody)
