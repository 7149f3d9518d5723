"""What may stand in a test file (`kind: PolicyTest`)?"""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, StrictBool, StrictInt, StrictStr, Tag

from sidecar.domain.decision import Effect, ReasonCode, RemedyKind
from sidecar.domain.request import MAX_INTEGER
from sidecar.domain.subscription import Status
from sidecar.policy.format import ExactName, Id, Instant, Message, MetadataSection, Section, Units


def _how_many(value: object) -> str:
    return "several" if isinstance(value, list) else "one"


def _is_had(value: object) -> str:
    return "unavailable" if isinstance(value, str) else "held"


Text = Annotated[StrictStr, Field(max_length=256)]
Words = Annotated[
    Annotated[Text, Tag("one")]
    | Annotated[list[Text], Field(min_length=1, max_length=100), Tag("several")],
    Discriminator(_how_many),
]
"""A word, or several: then there is a case for each."""
Counts = Annotated[
    Annotated[Units, Tag("one")]
    | Annotated[list[Units], Field(min_length=1, max_length=100), Tag("several")],
    Discriminator(_how_many),
]
FileName = Annotated[StrictStr, Field(min_length=1, max_length=1024)]
Attributes = Annotated[dict[Text, object], Field(max_length=64)]
Names = Annotated[list[ExactName], Field(min_length=1, max_length=100)]
Unavailable = Literal["unavailable"]


class HeldSection(Section):
    """A subscription as the billing side would have told it; dates that it lacks are not known.

    `status_since` is when the present status began.
    """

    plan: Text | None = None
    status: Status
    billing_cycle: Text | None = None
    next_billing_date: Instant | None = None
    trial_end: Instant | None = None
    current_period_start: Instant | None = None
    current_period_end: Instant | None = None
    cancel_at_period_end: StrictBool | None = None
    status_since: Instant | None = None
    metadata: Attributes | None = None


Told = Annotated[
    Annotated[HeldSection, Tag("held")] | Annotated[Unavailable, Tag("unavailable")],
    Discriminator(_is_had),
]


class CountersSection(Section):
    """What counters hold, by the id of a limit."""

    used: dict[Id, Units] = Field({})
    reserved: dict[Id, Units] = Field({})
    granted: dict[Id, Units] = Field({})


class UserSection(CountersSection):
    """Somebody whom several tests are about; the name here is the `user_id` unless one is said."""

    app_id: Text | None = None
    user_id: Text | None = None
    tenant_id: Text | None = None
    subscription: Told | None = None


class EstimateSection(Section):
    """Tokens that a request may use."""

    input_tokens: Units = 0
    output_tokens: Units = 0


class RequestSection(Section):
    """What is asked; where a list stands, there is a case for each of its values."""

    app_id: Words | None = None
    user_id: Words | None = None
    tenant_id: Words | None = None
    plugin: Words | None = None
    feature: Words | None = None
    action: Words | None = None
    workflow: Words | None = None
    agent: Words | None = None
    model: Words | None = None
    session_id: Words | None = None
    request_id: Words | None = None
    estimated_tokens: Counts | None = None
    estimate: EstimateSection | None = None
    attributes: Attributes | None = None


class CheckSection(RequestSection):
    """What is asked, or requests of this file by their names."""

    requests: Names | None = None


class GivenSection(CountersSection):
    """What is so before the request comes; without a subscription there is none.

    `now` is another instant than the file's, `users` are those of this file by their names.
    """

    now: Instant | None = None
    users: Names | None = None
    subscription: Told | None = None
    store: Unavailable | None = None


class RemainsSection(Section):
    """What the answer says of one limit."""

    remaining: Units | None = None
    limit: Units | None = None
    used: Units | None = None
    reserved: Units | None = None
    requested: Units | None = None
    granted: Units | None = None


class ExpectSection(Section):
    """What the answer is; what is not said here is not looked at, except errors: there are none.

    Lists of ids, codes, remedies and overrides are complete, in any order.
    """

    effect: Effect | None = None
    status: Annotated[StrictInt, Field(ge=200, le=599)] | None = None
    plan: Text | None = None
    reasons: list[Text] | None = None
    reasons_contain: Names | None = None
    codes: list[ReasonCode] | None = None
    would_deny: list[Text] | None = None
    message: Message | None = None
    message_contains: Message | None = None
    remedies: list[RemedyKind] | None = None
    limits: dict[Id, RemainsSection] | None = None
    overrides: list[Id] | None = None
    degraded: StrictBool | None = None
    errors: Annotated[StrictInt, Field(ge=0, le=MAX_INTEGER)] = 0


class ScenarioSection(Section):
    """One test; with several users, requests or values it is one case for each combination."""

    name: ExactName
    description: StrictStr = ""
    skip: Annotated[StrictStr, Field(min_length=1)] | None = None
    given: GivenSection = GivenSection()
    check: CheckSection
    expect: ExpectSection


class SuiteFile(Section):
    """One test file; without `policies` it is about all of its directory."""

    api_version: Annotated[Literal["sidecar/v1"], Field(alias="apiVersion")]
    kind: Literal["PolicyTest"]
    metadata: MetadataSection | None = None
    policies: Annotated[list[FileName], Field(min_length=1)] | None = None
    prices: FileName | None = None
    now: Instant | None = None
    users: dict[ExactName, UserSection] = Field({})
    requests: dict[ExactName, RequestSection] = Field({})
    tests: Annotated[list[ScenarioSection], Field(min_length=1, max_length=1_000)]
