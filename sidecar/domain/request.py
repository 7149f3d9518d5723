"""What is asked: by whom, for what, and how much it may use."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from sidecar.domain.value import value

MAX_INTEGER = 2**53 - 1
"""The greatest count that JSON, Lua and SQLite all hold exactly."""


UNTOLD = -1
"""Units that a commit does not know; what was held is taken for them in the end."""


class MeterKind(StrEnum):
    """What is counted."""

    TOKENS = "tokens"
    INPUT_TOKENS = "input_tokens"
    OUTPUT_TOKENS = "output_tokens"
    REQUESTS = "requests"
    COST = "cost"
    CONCURRENCY = "concurrency"


@value
class Subject:
    """Whose entitlement it is: a user of an app, of a tenant where the app has tenants."""

    app_id: str
    user_id: str
    tenant_id: str = ""


@value
class Amounts:
    """Units of each meter; tokens and requests are counts, cost is in micro-units.

    A commit may not know how its tokens split into input and output; those are UNTOLD then.
    """

    tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0
    cost: int = 0
    concurrency: int = 0

    def of(self, meter: MeterKind) -> int:
        """The units of one meter."""
        units: int = getattr(self, meter)
        return units


@value
class CheckRequest:
    """One pre-flight question; text that was not sent is empty, numbers are 0.

    `estimate` holds one request and one of concurrency beside its tokens, because that is
    what the request will use if it runs.
    """

    subject: Subject
    plugin: str = ""
    feature: str = ""
    action: str = ""
    workflow: str = ""
    agent: str = ""
    model: str = ""
    session_id: str = ""
    estimate: Amounts = Amounts(requests=1, concurrency=1)
    attributes: Mapping[str, object] = field(default_factory=dict, repr=False)
    reserve: bool = False
    ttl_s: int = 60
    request_id: str = ""
