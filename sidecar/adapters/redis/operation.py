"""What is to be done with one reservation that a lease has answered, and what became of it?"""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from sidecar.adapters.redis.lease import Child
from sidecar.adapters.redis.lines import dimensions
from sidecar.domain.limits import Reading
from sidecar.domain.request import UNTOLD, Amounts
from sidecar.domain.usage import PLACE, token_of
from sidecar.domain.value import value
from sidecar.errors import MeterUnavailable

_SURE_MS: Final = 1_000
"""By so much the store's clock, as a lease knows it, is never wrong."""


@value
class Outcome:
    """What became of an operation, in the words of lease.lua, and the limits after it."""

    state: str
    expires_ms: int
    tokens: int
    readings: tuple[Reading, ...]


@dataclass(slots=True, eq=False)
class Operation:
    """Something to be done with one child; it never changes.

    Attributes:
        app_id, reservation_id: of the child.
        since: as in the ports.
        child: None where another process has answered it.
        rest: what lease.lua reads behind the action and the name, of all but a commit.
        told: what a commit was told, and `used`, all its units; `model`, as it is reported.
    """

    action: str
    app_id: str
    reservation_id: str
    since: float
    child: Child | None = None
    rest: tuple[object, ...] = ()
    told: Amounts | None = None
    used: Amounts | None = None
    model: str = ""
    outcome: "asyncio.Future[Outcome]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def row(self) -> list[object]:
        """As lease.lua reads it."""
        rest = self.rest if self.told is None else self._commit(self.told)
        return [self.action, token_of(self.reservation_id)[PLACE:], *rest]

    @property
    def is_plain(self) -> bool:
        """Whether draw.lua may do it."""
        return self.told is not None and self.child is not None and self.child.is_plain

    @property
    def dimensions(self) -> str:
        """What a commit of a child of this process is reported under."""
        assert self.child is not None
        found = dimensions(self.child.hold.request)
        return self.model + found[found.index("\t") :] if self.model else found

    def ends_surely(self, now_s: float) -> bool:
        """Whether nothing is held for the child when this is done."""
        if self.child is None or self.action != "release":
            return self.child is not None
        return self.child.lease.now_ms(now_s) + _SURE_MS < self.child.expires_ms

    def note(self, state: str) -> None:
        """Tell the lease."""
        child = self.child
        match state:
            case "committed" if child is not None:
                child.lease.settle(child, self.used)
            case "released" if child is not None:
                child.lease.settle(child, None)
            case "promoted" if child is not None:
                child.lease.promoted.add(child.id)
                child.lease.forget(child)
            case "again" | "ended-committed" | "ended-released" if child is not None:
                # Who ended it, and with what, is not known: its units stay until the lease ends.
                child.lease.forget(child)

    def answer(self, outcome: Outcome) -> None:
        """Tell the caller."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def fail(self, error: MeterUnavailable) -> None:
        """Tell the caller that nothing is known."""
        if not self.outcome.done():
            self.outcome.set_exception(error)
            # An abandoned future must not complain that nobody looked.
            self.outcome.exception()

    def _commit(self, told: Amounts) -> tuple[object, ...]:
        parts = (told.tokens, told.input_tokens, told.output_tokens)
        if self.child is None or self.used is None:
            return *parts, told.cost, UNTOLD, UNTOLD, "", self.model, told.tokens, 0
        used, request = self.used, self.child.hold.request
        return (
            *parts, used.cost, used.input_tokens, used.output_tokens, dimensions(request),
            self.model, request.estimate.tokens, self.child.expires_ms,
        )  # fmt: skip
