"""Where is what an invoice is made from?"""

from typing import Protocol

from sidecar.domain.statements import StatementKey, StatementPage


class Statements(Protocol):
    """What counters came to, period by period; kept for 400 days after the end.

    The meter writes them, in the very step that counts.
    """

    async def page(
        self,
        app_id: str,
        user_id: str | None,
        after: StatementKey | None,
        count: int,
        *,
        since: float,
    ) -> StatementPage:
        """At most so many statements behind one of them.

        Args:
            user_id: whose; None for those of all users, and of counters that they share.

        Raises:
            MeterUnavailable: the store did not answer in time.
        """
        ...
