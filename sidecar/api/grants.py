"""`POST /api/internal/grants/sync`: units that somebody sold or gave beside the plan's own."""

import structlog
from starlette.responses import Response

from sidecar.api.answer import json_response
from sidecar.api.endpoint import Call
from sidecar.api.faults import misfit
from sidecar.api.pushes import GRANT
from sidecar.api.render import grant_body
from sidecar.domain.grants import Grant
from sidecar.domain.request import MeterKind
from sidecar.ports import Clock, Meter, Policies

_log = structlog.get_logger("sidecar.api")


class Grants:
    """Takes pushes; what a user has is shown with the entitlements."""

    def __init__(self, meter: Meter, policies: Policies, clock: Clock) -> None:
        self._meter = meter
        self._policies = policies
        self._clock = clock

    async def sync(self, call: Call) -> Response:
        """Add units, or with an amount of 0 take back what is left of them."""
        try:
            pushed = call.read(GRANT).grant(self._clock.now())
        except ValueError as error:
            raise misfit(error) from None
        outcome, balance = await self._meter.grant(pushed, since=self._clock.monotonic())
        return json_response(
            {
                "status": outcome,
                "grant_id": pushed.id,
                "app_id": pushed.app_id,
                "user_id": pushed.user_id,
                **grant_body(balance),
                "warnings": self._warnings(balance.grant),
            }
        )

    def _warnings(self, grant: Grant) -> list[str]:
        """Why nobody draws this grant, as things are."""
        rules = self._policies.snapshot
        if grant.limit and grant.limit not in rules.limit_ids:
            _log.warning("unknown_limit", limit=grant.limit, user_id=grant.user_id)
            return [f"no policy knows a limit {grant.limit!r} that draws grants"]
        if grant.meter is MeterKind.COST and rules.prices is None:
            return ["nothing costs anything without SIDECAR_PRICES"]
        return []
