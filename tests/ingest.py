"""The control plane as the sidecar sees it: a server on a port that takes events, or does not."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.listening import listening


@dataclass
class Ingest:
    """Takes events, and answers what it is told to."""

    answer: Callable[[dict[str, Any]], int] = lambda _: 202
    sent: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    url: str = ""

    async def take(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.sent.append(body)
        self.keys.add(request.headers.get("x-internal-api-key"))
        return Response(status_code=self.answer(body))

    def settings(self, **more: object) -> dict[str, Any]:
        """What leads a sidecar here."""
        return {
            "control_plane_usage_ingest_enabled": True,
            "control_plane_usage_ingest_url": self.url,
        } | more

    @property
    def ids(self) -> list[str]:
        return [each["event_id"] for each in self.sent]


@asynccontextmanager
async def ingest() -> AsyncIterator[Ingest]:
    """One that listens."""
    found = Ingest()
    async with listening(Starlette(routes=[Route("/in", found.take, methods=["POST"])])) as url:
        found.url = url + "/in"
        yield found
