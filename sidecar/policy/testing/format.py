"""What may stand in a test file (`kind: PolicyTest`)?"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
)
from pydantic_core import PydanticCustomError

from sidecar.domain.decision import Effect, ReasonCode
from sidecar.domain.request import MAX_INTEGER
from sidecar.domain.subscription import Status
from sidecar.policy.format import MetadataSection, Section
from sidecar.policy.values import ExactName, Id, Instant, Message, Units


def _how_many(value: object) -> str:
    return "several" if isinstance(value, list) else "one"


def _is_had(value: object) -> str:
    return "unavailable" if isinstance(value, str) else "held"


def _in_reach(at: datetime) -> datetime:
    if not 1970 <= at.year <= 9000:
        message = "expected a time between 1970 and 9000, as callers may send one"
        raise PydanticCustomError("instant", message, {})
    return at


Moment = Annotated[Instant, AfterValidator(_in_reach)]
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
    """The plan that it names."""
    status: Status
    """As the billing side says it."""
    billing_cycle: Text | None = None
    """How it is billed, as monthly or yearly; a month without it."""
    next_billing_date: Moment | None = None
    """A day on which a billing period ends."""
    trial_end: Moment | None = None
    """When the trial ends."""
    current_period_start: Moment | None = None
    """When the billing period began."""
    current_period_end: Moment | None = None
    """When it ends."""
    cancel_at_period_end: StrictBool | None = None
    """Whether it ends with its period."""
    status_since: Moment | None = None
    """When the present status began, for grace and trials."""
    metadata: Attributes | None = None
    """What the billing side says beside."""


Told = Annotated[
    Annotated[HeldSection, Tag("held")] | Annotated[Unavailable, Tag("unavailable")],
    Discriminator(_is_had),
]


class BalanceSection(Section):
    """A balance as whoever keeps it has told it."""

    balance: Annotated[StrictInt, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)] | None
    """Millionths of the currency, of which use of the limit `wallet` was spent since; null: none
    was ever told."""


Balance = Annotated[
    Annotated[BalanceSection, Tag("held")] | Annotated[Unavailable, Tag("unavailable")],
    Discriminator(_is_had),
]


class CountersSection(Section):
    """What counters hold, by the id of a limit."""

    used: dict[Id, Units] = Field({})
    """Units that are used, by the id of a limit; what is not named is 0."""
    reserved: dict[Id, Units] = Field({})
    """Units that are held."""
    granted: dict[Id, Units] = Field({})
    """Units that grants have left."""
    wallet: Balance | None = None
    """What is in the wallet, as `{balance: 5000000}`; `unavailable` where it could not be read."""


class UserSection(CountersSection):
    """Somebody whom several tests are about; the name here is the `user_id` unless one is said."""

    app_id: Text | None = None
    """The app that they use."""
    user_id: Text | None = None
    """Their id; without it, the name here."""
    tenant_id: Text | None = None
    """Their tenant."""
    subscription: Told | None = None
    """What the billing side has told of them."""


class EstimateSection(Section):
    """Tokens that a request may use."""

    input_tokens: Units = 0
    """Tokens of the prompt."""
    output_tokens: Units = 0
    """Tokens of the answer."""


class RequestSection(Section):
    """What is asked; where a list stands, there is a case for each of its values."""

    app_id: Words | None = None
    """The app that asks."""
    user_id: Words | None = None
    """The user that asks."""
    tenant_id: Words | None = None
    """Their tenant."""
    plugin: Words | None = None
    """The plugin that is to run."""
    feature: Words | None = None
    """The feature that is to be used."""
    action: Words | None = None
    """What is to be done."""
    workflow: Words | None = None
    """The workflow that asks."""
    agent: Words | None = None
    """The agent that asks."""
    model: Words | None = None
    """The model that is to answer."""
    session_id: Words | None = None
    """The session that it belongs to."""
    request_id: Words | None = None
    """The id of the request."""
    estimated_tokens: Counts | None = None
    """Tokens that it may use."""
    estimate: EstimateSection | None = None
    """The same, input and output apart."""
    attributes: Attributes | None = None
    """What the caller says beside; expressions read it as `request.attributes`."""


class CheckSection(RequestSection):
    """What is asked, or requests of this file by their names."""

    requests: Names | None = None
    """Requests of this file by their names; there is a case for each."""


class GivenSection(CountersSection):
    """What is so before the request comes; without a subscription there is none.

    `now` is another instant than the file's, `users` are those of this file by their names.
    """

    now: Moment | None = None
    """When it is; the file's `now` without it."""
    users: Names | None = None
    """Users of this file by their names; there is a case for each."""
    subscription: Told | None = None
    """What the billing side has told; `unavailable` where it could not be read."""
    store: Unavailable | None = None
    """`unavailable` where counters could not be read."""


class RemainsSection(Section):
    """What the answer says of one limit."""

    remaining: Units | None = None
    """Units that are left before the request."""
    limit: Units | None = None
    """The maximum in force."""
    used: Units | None = None
    """Units that are used."""
    reserved: Units | None = None
    """Units that are held."""
    requested: Units | None = None
    """Units that the request asks for."""
    granted: Units | None = None
    """Units that grants have left."""


class ExpectSection(Section):
    """What the answer is; what is not said here is not looked at, except errors: there are none.

    Lists of ids, codes, remedies and overrides are complete, in any order. Whether somebody sells
    further units is not the policy's to say, so that no `top_up` is expected.
    """

    effect: Effect | None = None
    """allow, warn or deny."""
    status: Annotated[StrictInt, Field(ge=200, le=599)] | None = None
    """The HTTP status, 200 unless it is refused."""
    plan: Text | None = None
    """The plan in force."""
    reasons: list[Text] | None = None
    """The ids of all reasons, in any order."""
    reasons_contain: Names | None = None
    """Ids that are among the reasons."""
    codes: list[ReasonCode] | None = None
    """The codes of all reasons."""
    would_deny: list[Text] | None = None
    """What would have refused, had it been enforced."""
    message: Message | None = None
    """What the user is told, to the letter."""
    message_contains: Message | None = None
    """A part of what the user is told."""
    remedies: list[Literal["upgrade", "wait"]] | None = None
    """What would help."""
    limits: dict[Id, RemainsSection] | None = None
    """What the answer says of limits, by their ids."""
    overrides: list[Id] | None = None
    """Overrides that were in force."""
    degraded: StrictBool | None = None
    """Whether a fact was missing."""
    errors: Annotated[StrictInt, Field(ge=0, le=MAX_INTEGER)] = 0
    """How many conditions could not be evaluated."""


class ScenarioSection(Section):
    """One test; with several users, requests or values it is one case for each combination."""

    name: ExactName
    """What the test shows, as a sentence."""
    description: StrictStr = ""
    """More of it, for people."""
    skip: Annotated[StrictStr, Field(min_length=1)] | None = None
    """Why it is not run."""
    given: GivenSection = GivenSection()
    """What is so before the request comes."""
    check: CheckSection
    """What is asked."""
    expect: ExpectSection
    """What the answer is."""


class SuiteFile(Section):
    """One test file; without `policies` it is about all of its directory."""

    api_version: Annotated[Literal["sidecar/v1"], Field(alias="apiVersion")]
    """The version of this format."""
    kind: Literal["PolicyTest"]
    """What kind of file this is."""
    metadata: MetadataSection | None = None
    """Whose tests these are."""
    policies: Annotated[list[FileName], Field(min_length=1)] | None = None
    """The policy files beside it that it is about; without it, all of the directory."""
    prices: FileName | None = None
    """The price file, from here; where policies count cost."""
    now: Moment | None = None
    """When it is, in every test that does not say otherwise."""
    users: dict[ExactName, UserSection] = Field({})
    """Users whom tests name."""
    requests: dict[ExactName, RequestSection] = Field({})
    """Requests that tests name."""
    tests: Annotated[list[ScenarioSection], Field(min_length=1, max_length=1_000)]
    """The tests; each is run by itself."""
