"""The entries of what users ask of themselves."""

from collections.abc import Iterable
from typing import Final

from sidecar.api.openapi.counting import reported
from sidecar.api.openapi.operation import CALLERS, JSON, Operation
from sidecar.api.openapi.schema import ref
from sidecar.api.queries import OwnUsageQuery

_TAG: Final = "Users"


def personal() -> Iterable[Operation]:
    """A user's own use and entitlements, and how a browser comes to see them."""
    yield Operation(
        "POST", "/v1/portal-tokens", _TAG, "Let a user's browser in",
        "A signed token for one user, for an hour at most; every replica takes it, and none keeps "
        "it. Give the browser the token or the `url`, never a key.",
        "GivenPortalToken", CALLERS, status=201, body={JSON: ref("PortalToken")}, stored=False,
    )  # fmt: skip
    yield Operation(
        "GET", "/v1/me/entitlements", _TAG, "What the user may have",
        "As `/v1/entitlements`, of whoever the token is for. Limits that users share are left "
        "out, and what the billing side notes for itself.",
        "OwnEntitlements", personal=True,
    )  # fmt: skip
    yield Operation(
        "GET", "/v1/me/usage", _TAG, "What the user used, by hour or day",
        "As `/v1/usage`, of whoever the token is for.",
        "OwnUsageReport", personal=True, parameters=reported(OwnUsageQuery),
    )  # fmt: skip
