"""`/metrics`: what was counted, as Prometheus reads it."""

from typing import Final

from starlette.responses import Response

from sidecar.api.endpoint import Call
from sidecar.ports.watching import Exposition

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Tells what was counted; there is no user, app or key in it."""

    def __init__(self, exposition: Exposition) -> None:
        self._exposition = exposition

    async def show(self, call: Call) -> Response:
        """All of it."""
        response = Response(self._exposition.text(), headers={"Content-Type": MEDIA_TYPE})
        response.headers["Cache-Control"] = "no-store"
        return response
