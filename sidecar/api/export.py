"""`GET /v1/usage/export`: every accepted event, a line each, to be gone on with by a cursor."""

from starlette.responses import Response

from sidecar.api.endpoint import Call
from sidecar.api.queries import EXPORT_QUERY, NDJSON
from sidecar.api.render import json_line
from sidecar.ports import Clock, EventLog


class Export:
    """Shows the log of accepted events."""

    def __init__(self, events: EventLog, clock: Clock) -> None:
        self._events = events
        self._clock = clock

    async def show(self, call: Call) -> Response:
        """A page of it; the header `X-Next-Cursor` says where the next one begins."""
        asked = call.asked(EXPORT_QUERY).asked()
        page = await self._events.page(asked, since=self._clock.monotonic())
        lines = b"".join(json_line(event) for event in page.events)
        response = Response(lines, media_type=NDJSON)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Next-Cursor"] = page.cursor
        response.headers["X-Has-More"] = "true" if page.has_more else "false"
        return response
