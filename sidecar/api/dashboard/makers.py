"""What makes the parts that the pages of an app and of a user have in common?"""

from dataclasses import dataclass

from sidecar.api.dashboard.asking import Answers
from sidecar.api.dashboard.parts import Parts
from sidecar.api.dashboard.refusals import Refusals
from sidecar.api.dashboard.usage_part import UsageParts
from sidecar.ports import Policies


@dataclass(frozen=True, slots=True)
class Makers:
    """All of them."""

    answers: Answers
    parts: Parts
    refusals: Refusals
    usage: UsageParts
    policies: Policies

    @property
    def currency(self) -> str:
        """What costs are in, empty where nothing has a price."""
        prices = self.policies.snapshot.prices
        return "" if prices is None else prices.currency
