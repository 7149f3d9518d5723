"""Subscriptions: pushed by the billing side, read by everybody else."""

from starlette.responses import Response

from sidecar.api.endpoint import Call
from sidecar.api.problem import FieldFault, InvalidBody
from sidecar.api.render import json_response, subscription_body
from sidecar.api.schemas import SUBSCRIPTION
from sidecar.domain.request import Subject
from sidecar.ports import Clock
from sidecar.ports import Subscriptions as SubscriptionsPort


class Subscriptions:
    """Takes pushes and shows what is stored."""

    def __init__(self, subscriptions: SubscriptionsPort, clock: Clock) -> None:
        self._subscriptions = subscriptions
        self._clock = clock

    async def sync(self, call: Call) -> Response:
        """Replace a user's state, unless it was seen before or a newer one is stored."""
        try:
            pushed = call.read(SUBSCRIPTION).subscription(self._clock.now())
        except ValueError as error:
            field, _, message = str(error).partition(": ")
            raise InvalidBody([FieldFault(field, message)]) from None
        outcome, state = await self._subscriptions.sync(pushed, since=self._clock.monotonic())
        body = subscription_body(state)
        body["subscription_status"] = body.pop("status")
        return json_response({"status": outcome, **body})

    async def show(self, call: Call) -> Response:
        """The state of one user in one app; status `none` where nothing was ever pushed."""
        subject = Subject(call.path["app_id"], call.path["user_id"])
        state = await self._subscriptions.find(subject, since=self._clock.monotonic())
        return json_response(subscription_body(state))
