"""Where is a decision told, and where is it found again?"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from sidecar.domain.decision import Decision
from sidecar.domain.manifest import Manifest
from sidecar.domain.request import CheckRequest
from sidecar.domain.subscription import Subscription
from sidecar.domain.value import value
from sidecar.domain.wallet import Wallet
from sidecar.ports.rules import Rules


@value
class Checked:
    """A decision beside the facts that it was made from; all of it stays as it was.

    Attributes:
        subscription: None where it could not be had.
        rules: the set that decided, which can say more of it later.
        manifest: of the app, None where it has none.
        wallet: of the user, None where it could not be had or no plan has any.
    """

    request: CheckRequest
    subscription: Subscription | None
    decision: Decision
    rules: Rules
    manifest: Manifest | None = None
    wallet: Wallet | None = None


class DecisionLog(Protocol):
    """Where decisions are told; it never waits and never fails a decision."""

    def record(self, checked: Checked) -> None:
        """Note one decision."""
        ...

    def unknown_model(self, model: str) -> None:
        """Note that something was asked of, or used with, a model that has no price."""
        ...


class Decisions(Protocol):
    """What was decided before, as it was recorded."""

    @property
    def is_in_files(self) -> bool:
        """Whether it is that of all processes; else it is what this one remembers."""
        ...

    @property
    def lost(self) -> int:
        """How many could not be recorded."""
        ...

    async def find(self, decision_id: str) -> Mapping[str, object] | None:
        """A decision by its id, None where it is not known, or not any more."""
        ...

    async def latest(
        self, app_id: str, user_id: str, effect: str, limit: int
    ) -> Sequence[Mapping[str, object]]:
        """The latest decisions of an app, a user, an effect; empty text is any."""
        ...
