"""The dashboard as an ASGI application, which is put together when somebody first asks for it.

A process that nobody looks at pays nothing for its pages.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.types import Receive, Scope, Send

from sidecar.api.auth import Keys
from sidecar.api.endpoint import Handler
from sidecar.ports import Apps, Clock, Meter, Policies, Statements

if TYPE_CHECKING:
    from sidecar.api.dashboard.site import Site


@dataclass(frozen=True, slots=True)
class Resources:
    """What pages are made from.

    Attributes:
        handlers: of the API, by their paths.
        proxies: that are believed where somebody comes from.
    """

    handlers: Mapping[str, Handler]
    apps: Apps
    meter: Meter
    statements: Statements
    policies: Policies
    clock: Clock
    keys: Keys
    proxies: Sequence[str] = ()


class Dashboard:
    """Answers whatever begins with `/dashboard`."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._lock = asyncio.Lock()
        self._site: Site | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._site is None:
            async with self._lock:
                if self._site is None:
                    # In a thread: requests go on meanwhile.
                    self._site = await asyncio.to_thread(_put_together, self._resources)
        await self._site(scope, receive, send)


def _put_together(resources: Resources) -> "Site":
    from sidecar.api.dashboard.site import Site  # see above

    return Site(resources)
