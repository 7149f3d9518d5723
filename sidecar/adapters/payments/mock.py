"""No payment provider: users are sent to the operator's own page, if there is one."""

from collections.abc import Callable
from typing import Final

from sidecar.domain.checkout import Checkout, OnBehalf
from sidecar.domain.request import Subject

SELF_HOSTED: Final = "self_hosted_mode"
"""What stands in the place of an address where nothing is sold."""


Page = Callable[[str, Subject], str | None]


class MockPayments:
    """Sends users to the operator's upgrade page; cancels nothing, because nothing is sold.

    Args:
        page: the address for a plan and a subject, None where there is none.
    """

    def __init__(self, page: Page) -> None:
        self._page = page

    async def checkout(self, plan: str, who: OnBehalf) -> Checkout:
        """The operator's page, else a word that says that there is none."""
        return Checkout(self._page(plan, Subject(who.app_id, who.user_id)) or SELF_HOSTED)

    async def cancel(self, who: OnBehalf) -> None:
        """Nothing: whoever sold the plan is told by the operator's own page."""
