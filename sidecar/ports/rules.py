"""What do the policies say, and which are in force?"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol

from sidecar.domain.decision import Effect, Reason, Remedy, RuleError
from sidecar.domain.entitlement import Entitlement, PlanSummary
from sidecar.domain.explanation import Explanation
from sidecar.domain.limits import Charge, Reading
from sidecar.domain.manifest import Manifest
from sidecar.domain.policies import Comparison, PolicyReport, Reloaded
from sidecar.domain.prices import Rates
from sidecar.domain.request import CheckRequest, Subject
from sidecar.domain.subscription import Subscription
from sidecar.domain.value import value
from sidecar.domain.wallet import Wallet


class Verdict(Protocol):
    """What the policies conclude from the facts."""

    @property
    def effect(self) -> Effect: ...
    @property
    def reasons(self) -> tuple[Reason, ...]: ...
    @property
    def remedies(self) -> tuple[Remedy, ...]: ...
    @property
    def errors(self) -> tuple[RuleError, ...]: ...
    @property
    def degraded(self) -> bool: ...


class Prices(Protocol):
    """What the tokens of each model cost."""

    @property
    def currency(self) -> str:
        """Three capital letters."""
        ...

    @property
    def default(self) -> Rates:
        """The rates of a model that is not known."""
        ...

    def of(self, model: str) -> Rates | None:
        """The rates of a model, None for one that is not known."""
        ...


class Rules(Protocol):
    """One immutable set of compiled policies."""

    @property
    def revision(self) -> str:
        """`sha256:` and 64 hexadecimal digits, of the names and contents of its files."""
        ...

    @property
    def plan_ids(self) -> Collection[str]:
        """The plans that it knows."""
        ...

    @property
    def limit_ids(self) -> Collection[str]:
        """The limits that a grant can be for."""
        ...

    @property
    def has_wallets(self) -> bool:
        """Whether some plan holds what runs against a balance, so that it must be had."""
        ...

    @property
    def prices(self) -> Prices | None:
        """What models cost, None where nothing has a price."""
        ...

    def resolve(
        self,
        subscription: Subscription | None,
        request: CheckRequest,
        now: datetime,
        manifest: Manifest | None = None,
        wallet: Wallet | None = None,
    ) -> Entitlement:
        """The plan and all that it says of the request.

        Args:
            subscription: None for one that could not be had.
            manifest: what holds for the app beside the plan, None for nothing.
            wallet: None for one that could not be had.
        """
        ...

    def overview(
        self,
        subscription: Subscription,
        subject: Subject,
        now: datetime,
        manifest: Manifest | None = None,
        wallet: Wallet | None = None,
    ) -> tuple[Entitlement, PlanSummary | None]:
        """The plan with every limit that is kept for the user, whatever is asked."""
        ...

    def charges(
        self,
        subscription: Subscription,
        request: CheckRequest,
        now: datetime,
        manifest: Manifest | None = None,
    ) -> tuple[Charge, ...]:
        """The limits that a report of use counts in."""
        ...

    def decide(
        self,
        request: CheckRequest,
        entitlement: Entitlement,
        readings: Sequence[Reading] | None,
        now: datetime,
    ) -> Verdict:
        """The conclusion; readings None means that the counters could not be had."""
        ...

    def explain(
        self,
        request: CheckRequest,
        subscription: Subscription | None,
        readings: Sequence[Reading] | None,
        now: datetime,
        *,
        manifest: Manifest | None = None,
        wallet: Wallet | None = None,
        trace: bool = False,
        every_rule: bool = True,
    ) -> Explanation:
        """The same taken apart; with a trace, down to each part of an expression.

        Args:
            every_rule: whether rules are told that the decision did not look at.
        """
        ...


class Policies(Protocol):
    """Where the policies in force are had from."""

    @property
    def snapshot(self) -> Rules:
        """The set in force at this instant."""
        ...


class Directory(Protocol):
    """A directory of policies, for whoever looks after it."""

    @property
    def report(self) -> PolicyReport:
        """What of it is in force, and what was refused."""
        ...

    async def reload(self) -> Reloaded:
        """Read it again, and put all of it in force if it may be.

        Raises:
            Unavailable: what became of it is not known in time.
        """
        ...


@value
class Directories:
    """The directories that an installation names.

    Attributes:
        shadow: of a candidate, None where none is named.
        comparison: what the candidate would have changed so far.
    """

    live: Directory
    shadow: Directory | None
    comparison: Callable[[], Comparison | None]
