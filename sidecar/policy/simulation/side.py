"""What does one set of policies say of all that happened, on counters of its own?

It decides as the decision point does. What it lets through counts by the use that was reported, or,
where none was, by what was held for it; a check that held nothing counts nothing, as it did live.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, Final

from sidecar.domain.counting import Content, Counter, lay_out
from sidecar.domain.decision import Effect
from sidecar.domain.entitlement import Entitlement
from sidecar.domain.limits import Charge, Limit, Reading
from sidecar.domain.modes import Mode
from sidecar.domain.request import CheckRequest, MeterKind
from sidecar.domain.subscription import Subscription
from sidecar.domain.wallet import WALLET, Wallet
from sidecar.domain.windows import from_ms, to_ms
from sidecar.policy.simulation.counters import Counters
from sidecar.policy.simulation.events import Asked, Said, Used
from sidecar.policy.simulation.remembered import Remembered
from sidecar.policy.snapshot import PolicySet
from sidecar.policy.verdict import judge

_REMEMBERED: Final = 50_000
"""Ids of requests, and of reservations that were refused here, that are known again at least."""

_MILD: Final = (Effect.ALLOW, Effect.WARN)


class CountedBy(StrEnum):
    """What a request that is let through is taken to have used.

    Reported use; all that it asked to hold, and nothing where it asked for no hold; or what it
    said that it may use, held or not.
    """

    USAGE = "usage"
    HOLDS = "holds"
    ESTIMATES = "estimates"


@dataclass(frozen=True, slots=True)
class Ids:
    """What a set of policies could say something by."""

    limits: frozenset[str]
    rules: frozenset[str]

    def kind(self, name: str) -> str:
        """What an id is the id of."""
        if name in self.limits:
            return "limit"
        return "rule" if name in self.rules else "plan"


def ids_of(rules: PolicySet) -> Ids:
    """The ids of limits and rules; what is off says nothing, and is left out."""
    return Ids(
        frozenset(
            compiled.limit.id
            for plan in rules.plans
            for compiled in plan.limits
            if compiled.limit.mode is not Mode.OFF and _is_bound(compiled.limit)
        ),
        frozenset(
            rule.id for plan in rules.plans for rule in plan.rules if rule.mode is not Mode.OFF
        ),
    )


def _is_bound(limit: Limit) -> bool:
    return limit.maximum is not None


class Side:
    """One set of policies in the replay.

    Attributes:
        spoke: ids that gave a reason at least once.
    """

    def __init__(self, rules: PolicySet, by: CountedBy) -> None:
        self._rules = rules
        self._by = by
        self._plans = {plan.id: plan for plan in rules.plans}
        self._counters = Counters()
        self._let_through = Remembered(_REMEMBERED)
        self._refused = Remembered(_REMEMBERED)
        # When each balance was told, and what was used here until then.
        self._balances: dict[tuple[str, str], tuple[datetime, int]] = {}
        self.spoke: set[str] = set()

    def decide(self, asked: Asked, subscription: Subscription, now_ms: int) -> Said:
        """The answer to a check; what it lets through counts from here on."""
        now = from_ms(now_ms)
        self._counters.reach(now_ms)
        if asked.request.reserve and asked.request.request_id:
            before = self._let_through.of(_id_of(asked.request))
            if before is not None:
                # A repeat gets the first answer again, and holds nothing more.
                return Said(_MILD[before])
        request = self._priced(asked.request)
        entitlement = self._rules.resolve(subscription, request, now, wallet=asked.wallet)
        entitlement = self._with_base(asked, entitlement, now_ms)
        if not request.estimate.requests:
            entitlement = _of_extension(entitlement)
        counters, readings = self._read(asked, entitlement.charges, now_ms)
        plan = self._plans.get(entitlement.plan or "")
        verdict = judge(plan, request, entitlement, readings, now)
        for reason in verdict.reasons:
            self.spoke.add(reason.id)
        if verdict.effect is not Effect.DENY:
            self._count(asked, request, counters, now_ms)
            if request.reserve and request.request_id:
                self._let_through.add(_id_of(request), _MILD.index(verdict.effect))
        elif asked.reservation:
            self._refused.add(asked.reservation)
        return Said.of(verdict.effect, verdict.reasons)

    def use(self, used: Used, subscription: Subscription, now_ms: int) -> None:
        """Count a report of use, unless what it reports would not have run."""
        event = used.event
        if event.reservation_id and event.reservation_id in self._refused:
            return
        self._counters.reach(now_ms)
        request = self._priced(replace(event.request, estimate=event.used))
        if event.reservation_id and self._counters.draw(
            event.reservation_id, request.estimate, now_ms
        ):
            return
        at_ms = to_ms(event.at)
        charges = self._rules.charges(subscription, request, from_ms(now_ms))
        for counter in lay_out(charges, at_ms).counters:
            if counter.meter is not MeterKind.CONCURRENCY:
                app = request.subject.app_id
                self._counters.use(app, counter, at_ms, now_ms, counter.amount)

    def _with_base(self, asked: Asked, entitlement: Entitlement, now_ms: int) -> Entitlement:
        """Hold against a balance what was spent here since it was told."""
        charges = tuple(
            self._based(asked, asked.wallet, charge, now_ms)
            if asked.wallet is not None and charge.limit.base is not None
            else charge
            for charge in entitlement.charges
        )
        return replace(entitlement, charges=charges)

    def _based(self, asked: Asked, wallet: Wallet, charge: Charge, now_ms: int) -> Charge:
        (counter,), _ = lay_out((charge,), now_ms)
        key = asked.request.subject.app_id, counter.name
        known = self._balances.pop(key, None)
        if known is None or known[0] != wallet.as_of:
            # What was spent of it until then was spent here too.
            spent = partial(_told, asked, charge.limit, "used")
            used = self._counters.content(key[0], counter, now_ms, spent).used
            known = wallet.as_of, max(0, used - (spent() or 0))
        self._balances[key] = known
        if len(self._balances) > _REMEMBERED:
            del self._balances[next(iter(self._balances))]
        return replace(charge, limit=replace(charge.limit, base=known[1]))

    def _read(
        self, asked: Asked, charges: Sequence[Charge], now_ms: int
    ) -> tuple[Sequence[Counter], tuple[Reading, ...]]:
        app = asked.request.subject.app_id
        layout = lay_out(charges, now_ms)
        contents: list[Content] = []
        for place, counter in enumerate(layout.counters):
            limit = charges[layout.indexes.index(place)].limit
            # When a run ended is told nowhere but in what a later check read.
            running = _told(asked, limit, "reserved") if _counts_runs(limit) else None
            begins = partial(_told, asked, limit, "used")
            contents.append(self._counters.content(app, counter, now_ms, begins, running))
        readings = tuple(
            Reading(
                charge.limit,
                charge.limit.counted(contents[index].used),
                contents[index].held,
                charge.amount,
                None,
                charge.is_asked,
            )
            for charge, index in zip(charges, layout.indexes, strict=True)
        )
        return layout.counters, readings

    def _count(
        self, asked: Asked, request: CheckRequest, counters: Sequence[Counter], now_ms: int
    ) -> None:
        app, ends_ms = request.subject.app_id, now_ms + request.ttl_s * 1000
        was_denied = asked.said is not None and asked.said.effect is Effect.DENY
        if self._by is CountedBy.USAGE and not was_denied:
            if request.reserve:
                self._counters.hold(asked.reservation, app, counters, now_ms, ends_ms)
            return
        if self._by is CountedBy.HOLDS and not request.reserve:
            return
        # Nobody reports of it: what it said that it may use is all that is known.
        at_once = [counter for counter in counters if counter.meter is MeterKind.CONCURRENCY]
        if request.reserve and at_once:
            self._counters.hold(asked.reservation, app, at_once, now_ms, ends_ms)
        for counter in counters:
            if counter.meter is not MeterKind.CONCURRENCY:
                self._counters.use(app, counter, now_ms, now_ms, counter.amount)

    def _priced(self, request: CheckRequest) -> CheckRequest:
        """The request with what it costs here."""
        prices, estimate = self._rules.prices, request.estimate
        if prices is None:
            return request
        rates = prices.of(request.model) or prices.default
        cost = rates.cost(estimate.tokens, estimate.input_tokens, estimate.output_tokens)
        return replace(request, estimate=replace(estimate, cost=cost))


def _id_of(request: CheckRequest) -> tuple[str, str]:
    return request.subject.app_id, request.request_id


def _of_extension(entitlement: Entitlement) -> Entitlement:
    """A run that lives on asks nothing of limits that it takes no more of."""
    charges = (replace(charge, is_asked=charge.amount > 0) for charge in entitlement.charges)
    return replace(entitlement, charges=tuple(charges))


def _counts_runs(limit: Limit) -> bool:
    return limit.meter is MeterKind.CONCURRENCY


def _told(asked: Asked, limit: Limit, field: str) -> int | None:
    """What was read then of the counter that a limit reads, where it was written down."""
    if limit.conditional or limit.base is not None:
        same = [it for it in asked.limits if it["id"] == limit.id]
    else:
        per: Collection[str] = [dimension.value for dimension in limit.per]
        same = [it for it in asked.limits if _is_same(it, limit, per)]
    return int(same[0][field]) if same else None


def _is_same(written: Mapping[str, Any], limit: Limit, per: Collection[str]) -> bool:
    if written["id"] == WALLET:
        return False
    return (written["meter"], written["window"], written["per"]) == (
        limit.meter,
        str(limit.window),
        per,
    )
