"""`/v1/outbox`: what waits for the control plane, what it refused, and what becomes of that."""

from starlette.responses import Response

from sidecar.api.answer import json_response
from sidecar.api.endpoint import Call
from sidecar.api.queries import OUTBOX_QUERY
from sidecar.api.render import outbox_body
from sidecar.domain.event_log import whereabouts
from sidecar.errors import UnknownEntry
from sidecar.ports import Clock
from sidecar.ports import Outbox as OutboxPort


class Outbox:
    """Shows the outbox and lets single events of it be tried again or dropped."""

    def __init__(self, outbox: OutboxPort, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock

    async def show(self, call: Call) -> Response:
        """How much waits, app by app, and the events that were refused."""
        most, since = call.asked(OUTBOX_QUERY).limit, self._clock.monotonic
        backlog = await self._outbox.backlog(since=since())
        lines = await self._outbox.lines(most, since=since())
        refused = await self._outbox.set_aside(most, since=since())
        return json_response(outbox_body(backlog, lines, refused, self._clock.now()))

    async def retry(self, call: Call) -> Response:
        """Try an event again."""
        app_id, place = _place(call)
        if not await self._outbox.retry(app_id, place, since=self._clock.monotonic()):
            raise UnknownEntry(call.path["id"])
        return json_response({"status": "waiting", "id": call.path["id"]})

    async def drop(self, call: Call) -> Response:
        """Never deliver an event."""
        app_id, place = _place(call)
        if not await self._outbox.drop(app_id, place, since=self._clock.monotonic()):
            raise UnknownEntry(call.path["id"])
        return json_response({"status": "dropped", "id": call.path["id"]})


def _place(call: Call) -> tuple[str, str]:
    found = whereabouts(call.path["id"])
    if found is None:
        raise UnknownEntry(call.path["id"])
    return found
