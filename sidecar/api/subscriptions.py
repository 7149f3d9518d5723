"""Subscriptions: pushed by the billing side, read by everybody else."""

import structlog
from starlette.responses import Response

from sidecar.api.answer import json_response
from sidecar.api.auth import Keys, Role
from sidecar.api.endpoint import Call
from sidecar.api.faults import FieldFault, InvalidBody, misfit
from sidecar.api.pushes import SUBSCRIPTION
from sidecar.api.queries import SUBSCRIPTION_QUERY
from sidecar.api.render import history_body, subscription_body
from sidecar.domain.request import Subject
from sidecar.domain.subscription import KNOWN_CYCLES
from sidecar.ports import Clock, Policies
from sidecar.ports import Subscriptions as SubscriptionsPort

_HISTORIANS = (Role.INTERNAL, Role.READ)

_log = structlog.get_logger("sidecar.api")


class Subscriptions:
    """Takes pushes and shows what is stored."""

    def __init__(
        self, subscriptions: SubscriptionsPort, policies: Policies, clock: Clock, keys: Keys
    ) -> None:
        self._keys = keys
        self._subscriptions = subscriptions
        self._policies = policies
        self._clock = clock

    async def sync(self, call: Call) -> Response:
        """Replace a user's state, unless it was seen before or a newer one is stored."""
        try:
            pushed = call.read(SUBSCRIPTION).subscription(self._clock.now())
        except ValueError as error:
            raise misfit(error) from None
        outcome, state = await self._subscriptions.sync(pushed, since=self._clock.monotonic())
        warnings = []
        if state.plan and state.plan not in self._policies.snapshot.plan_ids:
            warnings.append(f"no policy knows the plan {state.plan!r}: its users are refused")
            _log.warning("unknown_plan", plan=state.plan, user_id=state.user_id)
        if not state.has_known_cycle:
            warnings.append(
                f"billingCycle {state.billing_cycle!r} is unknown and taken for a month; known "
                f"are {', '.join(KNOWN_CYCLES)}"
            )
        body = subscription_body(state)
        body["subscription_status"] = body.pop("status")
        return json_response({"status": outcome, **body, "warnings": warnings})

    async def show(self, call: Call) -> Response:
        """The state of one user in one app; status `none` where nothing was ever pushed.

        How it came about is told to whoever looks after users, and not to the runtime.
        """
        with_history = call.asked(SUBSCRIPTION_QUERY).history == "true"
        if with_history:
            self._keys.require(_HISTORIANS, call.headers)
        subject = Subject(call.path["app_id"], call.path["user_id"])
        if not subject.user_id:
            raise InvalidBody([FieldFault("user_id", "the path ends in the user's id")])
        state = await self._subscriptions.find(subject, since=self._clock.monotonic())
        body = subscription_body(state)
        return json_response(body | history_body(state) if with_history else body)
