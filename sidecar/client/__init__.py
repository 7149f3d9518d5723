"""What a runtime imports to ask the sidecar: may this run, and what did it use?

    entitlements = AsyncEntitlements(app_id="acme")
    async with entitlements.reserve("ann", plugin="search", output_tokens=800) as held:
        ...
        held.add(input_tokens=210, output_tokens=340)

It needs httpx, and nothing of the server.
"""

from sidecar.client.answers import Decision, Effect, Entitlement, Limit, Reason, Remedy
from sidecar.client.asking import Asked
from sidecar.client.entitlements import AsyncEntitlements, Entitlements
from sidecar.client.faults import (
    EntitlementError,
    InvalidQuestion,
    PaymentRequired,
    SidecarUnavailable,
)
from sidecar.client.guard import Caller, acting_for, entitled
from sidecar.client.held import AsyncReservation, Reservation
from sidecar.client.middleware import EntitlementMiddleware

__all__ = [
    "Asked",
    "AsyncEntitlements",
    "AsyncReservation",
    "Caller",
    "Decision",
    "Effect",
    "Entitlement",
    "EntitlementError",
    "EntitlementMiddleware",
    "Entitlements",
    "InvalidQuestion",
    "Limit",
    "PaymentRequired",
    "Reason",
    "Remedy",
    "Reservation",
    "SidecarUnavailable",
    "acting_for",
    "entitled",
]
