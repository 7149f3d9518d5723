"""`/healthz` and `/readyz`: is the process alive, and can it decide?"""

from collections.abc import Sequence

import structlog
from starlette.responses import Response

from sidecar.api.answer import json_response
from sidecar.api.endpoint import Call
from sidecar.api.problem import problem
from sidecar.errors import Unavailable
from sidecar.ports import Clock, Fact, Meter, Policies

_log = structlog.get_logger("sidecar.api")


class Health:
    """Alive never asks the store, ready does.

    Args:
        facts: what has to be so as well.
    """

    def __init__(
        self, policies: Policies, meter: Meter, clock: Clock, facts: Sequence[Fact] = ()
    ) -> None:
        self._policies = policies
        self._meter = meter
        self._clock = clock
        self._facts = facts

    async def alive(self, call: Call) -> Response:
        """200 while the process answers."""
        return json_response({"status": "ok"})

    async def ready(self, call: Call) -> Response:
        """200 if all is there that a decision needs, else a problem that lists what is missing."""
        lacking = {fact.name: fact.lack for fact in self._facts if not fact.holds()}
        try:
            await self._meter.ping(since=self._clock.monotonic())
        except Unavailable as error:
            # Anybody may ask; where the store stands is for the log.
            _log.warning("not_ready", error=str(error))
            lacking["store"] = "The store does not answer."
        if lacking:
            return problem(
                503, "not_ready", "Not ready", " ".join(lacking.values()),
                members={"missing": list(lacking)}, headers={"Retry-After": "1"},
            )  # fmt: skip
        body = {"status": "ready", "policy": {"revision": self._policies.snapshot.revision}}
        return json_response(body)
