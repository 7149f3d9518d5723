"""Which apps had something to be delivered just now, in this process?"""

import asyncio
from contextlib import suppress

_MOST = 10_000


class Arrivals:
    """Apps that wait to be looked at; there is no harm in forgetting one, it is found later."""

    def __init__(self) -> None:
        self._apps: dict[str, None] = {}
        self._come = asyncio.Event()

    def note(self, app_id: str) -> None:
        """Have an app looked at soon."""
        if len(self._apps) < _MOST:
            self._apps[app_id] = None
        self._come.set()

    def take(self, most: int) -> list[str]:
        """Those that came first, once."""
        taken = list(self._apps)[:most]
        for app_id in taken:
            del self._apps[app_id]
        if not self._apps:
            self._come.clear()
        return taken

    def wake(self) -> None:
        """Let whoever waits look again."""
        self._come.set()

    async def wait(self, seconds: float) -> None:
        """Return when there is one, or after so long."""
        with suppress(TimeoutError):
            # Not `wait_for`: where both happen at once it forgets that it was cancelled.
            async with asyncio.timeout(seconds):
                await self._come.wait()
