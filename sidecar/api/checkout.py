"""`/v1/checkout`: where a user buys a plan; what comes of it is told by the billing side."""

import secrets

from starlette.responses import Response

from sidecar.api.answer import json_response
from sidecar.api.auth import Keys
from sidecar.api.endpoint import Call
from sidecar.api.faults import FieldFault, InvalidBody
from sidecar.api.fields import MAX_TEXT
from sidecar.api.problem import problem
from sidecar.api.schemas import CANCEL, CHECKOUT
from sidecar.domain.checkout import OnBehalf
from sidecar.errors import PaymentsRefused, PaymentsUnavailable
from sidecar.ports import Payments, Policies


class Checkouts:
    """Hands a purchase or a cancellation on to whoever takes the money."""

    def __init__(self, payments: Payments, policies: Policies, keys: Keys) -> None:
        self._payments = payments
        self._policies = policies
        self._keys = keys

    async def checkout(self, call: Call) -> Response:
        """The page to send the user to."""
        asked = call.read(CHECKOUT)
        if asked.plan not in self._policies.snapshot.plan_ids:
            raise InvalidBody([FieldFault("plan", f"no policy knows the plan {asked.plan!r}")])
        try:
            found = await self._payments.checkout(
                asked.plan, self._on_behalf(call, asked.app_id, asked.user_id)
            )
        except (PaymentsRefused, PaymentsUnavailable) as error:
            return _failed(error)
        return json_response({"checkoutUrl": found.url, "sessionId": found.session_id or None})

    async def cancel(self, call: Call) -> Response:
        """Ask for a cancellation; the subscription stays as it is until a push says otherwise."""
        asked = call.read(CANCEL)
        try:
            await self._payments.cancel(self._on_behalf(call, asked.app_id, asked.user_id))
        except (PaymentsRefused, PaymentsUnavailable) as error:
            return _failed(error)
        return json_response({"status": "requested"}, 202)

    def _on_behalf(self, call: Call, app_id: str, user_id: str) -> OnBehalf:
        named = call.headers.get(b"x-correlation-id") or call.headers.get(b"x-request-id", b"")
        return OnBehalf(
            app_id,
            user_id,
            self._keys.of_the_user(call.headers),
            named.decode("latin-1")[:MAX_TEXT] or secrets.token_urlsafe(16),
        )


def _failed(error: PaymentsRefused | PaymentsUnavailable) -> Response:
    match error:
        case PaymentsRefused():
            members = {"upstream_status": error.status}
            title = "The payment side refused"
            return problem(502, "payments_refused", title, f"{error}.", members=members)
        case PaymentsUnavailable():
            wait = {"Retry-After": "5"}
            title = "The payment side did not answer"
            return problem(503, "payments_unavailable", title, f"{error}.", headers=wait)
