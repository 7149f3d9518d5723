"""`/v1/status`: how does each part of the server stand?"""

import asyncio
import platform
from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from sidecar import __version__
from sidecar.api.answer import json_response
from sidecar.api.endpoint import Call
from sidecar.domain.standing import Standing, State, worst
from sidecar.ports import Clock
from sidecar.ports.watching import Part

_PATIENCE_S: Final = 1.0


class Status:
    """Asks every part, all at once; one that does not answer is down.

    Args:
        parts: in the order in which they are shown.
    """

    def __init__(self, parts: Sequence[Part], clock: Clock) -> None:
        self._parts = tuple(parts)
        self._clock = clock
        self._began, self._began_s = clock.now(), clock.monotonic()

    async def show(self, call: Call) -> Response:
        """200 however it stands: whether to send requests here is what `/readyz` is for."""
        standings = await asyncio.gather(*map(_asked, self._parts))
        body = {
            "status": worst([standing.state for standing in standings]),
            "version": __version__,
            "python": platform.python_version(),
            "at": self._clock.now(),
            "started_at": self._began,
            "uptime_s": int(self._clock.monotonic() - self._began_s),
            "parts": {
                part.name: {
                    "state": standing.state,
                    "note": standing.note or None,
                    "facts": standing.facts,
                }
                for part, standing in zip(self._parts, standings, strict=True)
            },
        }
        return json_response(body)


async def _asked(part: Part) -> Standing:
    try:
        return await asyncio.wait_for(part.status(), _PATIENCE_S)
    except TimeoutError:
        return Standing(State.DOWN, note=f"no answer within {_PATIENCE_S:g} s")
    except Exception as defect:  # noqa: BLE001  one that cannot say hides no other
        return Standing(State.DOWN, note=f"it cannot say: {defect!r}")
