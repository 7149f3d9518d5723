"""`/healthz` and `/readyz`: is the process alive, and can it decide?"""

import structlog
from starlette.responses import Response

from sidecar.api.endpoint import Call
from sidecar.api.problem import problem
from sidecar.api.render import json_response
from sidecar.errors import Unavailable
from sidecar.ports import Clock, Meter, Policies

_log = structlog.get_logger("sidecar.api")


class Health:
    """Alive never asks the store, ready does."""

    def __init__(self, policies: Policies, meter: Meter, clock: Clock) -> None:
        self._policies = policies
        self._meter = meter
        self._clock = clock

    async def alive(self, call: Call) -> Response:
        """200 while the process answers."""
        return json_response({"status": "ok"})

    async def ready(self, call: Call) -> Response:
        """200 if the store answers, else a problem that says what is missing."""
        try:
            await self._meter.ping(since=self._clock.monotonic())
        except Unavailable as error:
            # Anybody may ask; where the store stands is for the log.
            _log.warning("not_ready", error=str(error))
            return problem(
                503, "not_ready", "Not ready", "The store does not answer.",
                members={"missing": ["store"]}, headers={"Retry-After": "1"},
            )  # fmt: skip
        body = {"status": "ready", "policy": {"revision": self._policies.snapshot.revision}}
        return json_response(body)
