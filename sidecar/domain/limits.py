"""How much may be used, in which counter it is counted, and what was read there."""

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter
from typing import Final
from urllib.parse import quote

from sidecar.domain.modes import FailureMode, Mode, Refusal
from sidecar.domain.request import MAX_INTEGER, CheckRequest, MeterKind
from sidecar.domain.value import value
from sidecar.domain.windows import BillingCycle, Fixed, Sliding, Window


class Dimension(StrEnum):
    """What a counter is kept for; the order here is the order in its key."""

    APP = "app"
    TENANT = "tenant"
    USER = "user"
    MODEL = "model"
    WORKFLOW = "workflow"
    PLUGIN = "plugin"
    AGENT = "agent"
    SESSION = "session"


_VALUES: Mapping[Dimension, Callable[[CheckRequest], str]] = {
    Dimension.TENANT: attrgetter("subject.tenant_id"),
    Dimension.USER: attrgetter("subject.user_id"),
    Dimension.MODEL: attrgetter("model"),
    Dimension.WORKFLOW: attrgetter("workflow"),
    Dimension.PLUGIN: attrgetter("plugin"),
    Dimension.AGENT: attrgetter("agent"),
    Dimension.SESSION: attrgetter("session_id"),
}


BALANCE: Final = ":$"
"""Ends the key of a counter that is held against a balance; no id begins so."""
_GRANTED = frozenset({Fixed.BILLING_MONTH, Fixed.BILLING_PERIOD, Fixed.LIFETIME})
"""Windows of allowances, to which grants add; other windows bound a pace."""
STATED = frozenset({Fixed.BILLING_MONTH, Fixed.BILLING_PERIOD, Fixed.MONTH})
"""Windows whose periods invoices are made for."""


@lru_cache(4096)
def _escaped(value: str) -> str:
    # The limits of one request are kept for the same few values.
    return quote(value, "")


def escaped(value: str) -> str:
    """A value as it stands in the keys of counters."""
    return value if value.isalnum() else _escaped(value)


@value
class Limit:
    """A bound on one meter over one window.

    Attributes:
        maximum: units, None where there is no bound and the counter only reports.
        warn_from: units from which a warning is given, None for never.
        refusal: HTTP status of a refusal by this limit.
        conditional: whether a `when` chooses its requests; then its counter is its own.
        rollover: how much of what is left of a period can be used in the next one.
        allowance: what is included, where that is not the maximum.
        base: units of the counter that the maximum knows of already, where it is a balance that
            somebody tells again and again; None where it is not. Its counter is its own too.
        is_stated: whether there is a statement for each of its periods, if its window has any.
        is_enforced: whether it can refuse: it has a bound, and its mode lets it.
        scopes: of the grants that it draws when its allowance is used up, see `Grant`.
        most: what its counter may hold, None where there is no bound.
        head: what begins the key of each of its counters.
        tail: what ends it.
        parts: what stands in between, of each dimension but the app, and whose value follows it.
        kept_for: the same text for limits of the same parts.
    """

    id: str
    meter: MeterKind
    maximum: int | None
    window: Window
    per: tuple[Dimension, ...]
    mode: Mode
    failure_mode: FailureMode = FailureMode.OPEN
    warn_from: int | None = None
    refusal: Refusal = Refusal.PAYMENT_REQUIRED
    message: str = ""
    conditional: bool = False
    rollover: int | None = None
    allowance: int | None = None
    base: int | None = None
    is_stated: bool = field(default=True, compare=False)
    is_enforced: bool = field(init=False, compare=False)
    most: int | None = field(init=False, compare=False)
    scopes: tuple[str, ...] = field(init=False, compare=False)
    head: str = field(init=False, compare=False, repr=False)
    tail: str = field(init=False, compare=False, repr=False)
    parts: tuple[tuple[str, Callable[[CheckRequest], str]], ...] = field(
        init=False, compare=False, repr=False
    )
    kept_for: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # Asked at every check, and known when the policies are.
        is_enforced = self.maximum is not None and self.mode is Mode.ENFORCE
        object.__setattr__(self, "is_enforced", is_enforced)
        object.__setattr__(self, "most", self._most())
        object.__setattr__(self, "scopes", self._scopes())
        window = self.window
        # A session is nobody who is sent an invoice, and there are too many of them.
        has_any = window in STATED and Dimension.SESSION not in self.per
        object.__setattr__(self, "is_stated", self.is_stated and has_any)
        span = f"{window.length_ms}ms" if isinstance(window, Sliding) else window.value
        object.__setattr__(self, "head", f"{self.meter.value}:{span}")
        tail = f":#{self.id}" if self.conditional else ""
        object.__setattr__(self, "tail", tail if self.base is None else BALANCE)
        kept = [dimension for dimension in self.per if dimension is not Dimension.APP]
        parts = tuple((f":{dimension.value}=", _VALUES[dimension]) for dimension in kept)
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "kept_for", "".join(name for name, _ in parts))

    @property
    def included(self) -> int | None:
        """Units that cost nothing further, None without a bound."""
        return self.maximum if self.allowance is None else self.allowance

    def _most(self) -> int | None:
        if self.maximum is None or self.base is None:
            return self.maximum
        # A balance may be overdrawn.
        return max(0, min(self.maximum + self.base, MAX_INTEGER))

    def _scopes(self) -> tuple[str, ...]:
        # What is off spends nobody's grants, and concurrency uses nothing up. A balance has no
        # allowance beside which there could be grants.
        if self.maximum is None or self.mode is Mode.OFF or self.meter is MeterKind.CONCURRENCY:
            return ()
        if self.base is not None:
            return ()
        named = f"={self.id}"
        return (named, self.meter.value) if self.window in _GRANTED else (named,)

    def counted(self, used: int) -> int:
        """Of what its counter holds as used, that which is held against the maximum."""
        return used if self.base is None else max(0, used - self.base)

    def counter(self, request: CheckRequest, told: dict[str, str] | None = None) -> str:
        """The key of the counter that this request falls into, unique within its app.

        The plan, the maximum and the mode are not part of it: an upgrade or a raised limit
        keeps what was used. Values are percent-encoded, so no two sets of values collide.

        Args:
            told: what parts come to of this request, by `kept_for`: most limits share them.
        """
        whose = None if told is None else told.get(self.kept_for)
        if whose is None:
            whose = ""
            for name, value_of in self.parts:
                value = value_of(request)
                # As `escaped`, of which each check would wait.
                whose += name + (value if value.isalnum() else _escaped(value))
            if told is not None:
                told[self.kept_for] = whose
        return self.head + whose + self.tail


def takes_summaries(counter: str) -> bool:
    """Whether use of no known model, agent or plugin counts in the counter of this key."""
    return not any(part in counter for part in _UNKNOWN_TO_SUMMARIES)


_UNKNOWN_TO_SUMMARIES = (
    *(f":{each.value}=" for each in (Dimension.MODEL, Dimension.AGENT, Dimension.PLUGIN)),
    ":#",
)
"""What only the keys of counters have that summaries pass by: dimensions, and of a `when`."""


@value
class Charge:
    """Units asked of one limit.

    Attributes:
        is_asked: whether there must be room at all. A run that lives on asks nothing of limits
            that it holds no more of, however full they are.
        held_since: since when the subject has had the plan, of limits that roll over, if known.
    """

    limit: Limit
    counter: str
    amount: int
    cycle: BillingCycle
    is_asked: bool = True
    held_since: datetime | None = None

    @property
    def need(self) -> int:
        """Room that must be there: at least one unit, so that a used-up limit refuses."""
        return self.amount or int(self.is_asked)


@value
class Reading:
    """What a limit's counter held at one instant, before the request's own charge.

    Attributes:
        used, reserved, requested: units; what grants pay for is neither used nor reserved here.
        resets_at: the end of the period. For a sliding window, when the oldest use that
            counts leaves it, or, where the request does not fit, when it will.
        granted: units left in the grants that the limit draws.
    """

    limit: Limit
    used: int
    reserved: int
    requested: int
    resets_at: datetime | None
    is_asked: bool = True
    granted: int = 0

    @property
    def remaining(self) -> int | None:
        """Units still free, None without a bound."""
        if self.limit.maximum is None:
            return None
        return max(0, self.limit.maximum + self.granted - self.used - self.reserved)

    @property
    def is_exceeded(self) -> bool:
        """Whether the request does not fit; a limit with nothing left fits no request."""
        remaining = self.remaining
        return remaining is not None and (self.requested or int(self.is_asked)) > remaining

    @property
    def is_quiet(self) -> bool:
        """Whether it is neither exceeded nor near, for all that is asked of most: told at once."""
        limit, taken = self.limit, self.used + self.reserved + self.requested
        if limit.maximum is None:
            return limit.warn_from is None
        room = limit.maximum + self.granted - taken
        return room > 0 and (limit.warn_from is None or taken < limit.warn_from)

    @property
    def never_fits(self) -> bool:
        """Whether the request is larger than the whole limit, so that an empty one refuses it."""
        maximum = self.limit.maximum
        return maximum is not None and self.requested > maximum + self.granted

    @property
    def is_near(self) -> bool:
        """Whether the use, with this request, has reached the point of warning."""
        warn_from = self.limit.warn_from
        return warn_from is not None and self.used + self.reserved + self.requested >= warn_from

    @property
    def ends(self) -> bool:
        """Whether waiting can bring room: not in a lifetime, nor to a request above the bound."""
        maximum = self.limit.maximum
        return (
            self.limit.window is not Fixed.LIFETIME
            and maximum is not None
            and (self.requested or 1) <= maximum
        )
