"""Were policies refused? Looked at beside everything else, told once a day while they stand."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from sidecar.beside import beside
from sidecar.domain.notices import Notice, NoticeKind
from sidecar.domain.policies import PolicyReport
from sidecar.ports import Clock

_DAILY: Final = timedelta(days=1)
_MOST_TOLD: Final = 4_000
"""Characters of all that is wrong."""


class Rejections:
    """Tells of policies that stand in the directory and were refused.

    Args:
        report: how it stands with the directory now.
        tell: takes a notice; the same again is nothing to it.
    """

    def __init__(
        self,
        report: Callable[[], PolicyReport],
        tell: Callable[[Notice], None],
        clock: Clock,
        poll_s: float = 1.0,
    ) -> None:
        self._report = report
        self._tell = tell
        self._clock = clock
        self._poll_s = poll_s

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Look as long as this is open."""
        async with beside(self._keep_looking):
            yield

    async def _keep_looking(self) -> None:
        while True:
            notice = self.notice()
            if notice is not None:
                self._tell(notice)
            await asyncio.sleep(self._poll_s)

    def notice(self) -> Notice | None:
        """What is to be told now."""
        report = self._report()
        refused, in_force = report.rejection, report.in_force
        if refused is None or not refused.stands:
            return None
        occasion = (NoticeKind.POLICY_REJECTED, report.directory, refused.fault, refused.message)
        now = self._clock.now()
        return Notice(
            NoticeKind.POLICY_REJECTED,
            "\n".join(occasion),
            now,
            now + _DAILY,
            {
                "directory": report.directory,
                "fault": refused.fault,
                "message": refused.message[:_MOST_TOLD],
                "refused_at": refused.at,
                "in_force": None if in_force is None else in_force.revision,
            },
        )
