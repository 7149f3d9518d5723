"""The decision point: seven facts are put side by side, one answer goes out.

    rules        = policies.snapshot                       one immutable set, one revision
    subscription = await subscriptions.find(...)           cached                   (wait 1, rarely)
    manifest     = await manifests.find(...)               cached, asked for beside it
    wallet       = await wallets.find(...)                 the same, where a plan has one
    entitlement  = rules.resolve(...)                      pure: plan, globs, limits, rules
    metering     = await meter.reserve | read(...)         all limits, all or nothing      (wait 2)
    verdict      = rules.decide(...)                       pure: readings; deny > warn > allow

Time and snapshot are taken once, at the top. A fact that could not be had is None from there
on, and the policies' failure mode speaks in its place.
"""

import asyncio
import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sidecar.domain.decision import Decision, Effect, Reservation, RuleError, combine
from sidecar.domain.entitlement import Entitlement, PlanSummary
from sidecar.domain.explanation import Explanation
from sidecar.domain.grants import GrantBalance
from sidecar.domain.limits import Reading
from sidecar.domain.manifest import Manifest
from sidecar.domain.provisional import Provisional
from sidecar.domain.request import UNTOLD, Amounts, CheckRequest, Subject
from sidecar.domain.subscription import Subscription
from sidecar.domain.told import AS_IT_IS, WhatIf
from sidecar.domain.usage import (
    ChargedEvent,
    EventKind,
    Hold,
    Metering,
    Settlement,
    Tally,
    UsageEvent,
    name_reservation,
    reservation_token,
)
from sidecar.domain.value import value
from sidecar.errors import RequestFault, Unavailable
from sidecar.facts import Facts, unless_unavailable
from sidecar.nonces import nonce
from sidecar.ports import (
    Checked,
    Clock,
    DecisionLog,
    Meter,
    Policies,
    Rules,
)
from sidecar.pricing import Pricing, priced, summed_up, with_cost

_BATCH = 50
_COUNTERS_LOST = RuleError(
    "store", "The store has lost what it had counted for this app; it counts anew from here."
)


@value
class Overview:
    """A subject's entitlement as a settings page shows it."""

    entitlement: Entitlement
    plan: PlanSummary | None
    readings: tuple[Reading, ...]
    grants: tuple[GrantBalance, ...]
    revision: str

    @property
    def balance(self) -> Reading | None:
        """What is left of the user's balance, None where the plan has no wallet."""
        return next((it for it in self.readings if it.limit.base is not None), None)


@value
class Explained:
    """A decision and what each part of the policies had to do with it."""

    decision: Decision
    explanation: Explanation


class PDP:
    """Decides checks, settles reservations, counts usage."""

    def __init__(
        self,
        policies: Policies,
        facts: Facts,
        meter: Meter,
        log: DecisionLog,
        clock: Clock,
    ) -> None:
        self._policies = policies
        self._facts = facts
        self._pricing = Pricing(log)
        self._meter = meter
        self._log = log
        self._clock = clock
        self._standby = facts.standby
        self._undoing: set[asyncio.Task[None]] = set()

    async def check(self, request: CheckRequest) -> Decision:
        """Allow, warn or deny; with `reserve`, hold the estimate in every limit at once.

        Raises:
            RequestIdReused: the request's id came before with another body.
        """
        now, since, rules = self._clock.now(), self._clock.monotonic(), self._policies.snapshot
        rates = self._pricing.rates(rules, request.model)
        request = with_cost(request, request.estimate, rates)
        told, wallet = await self._facts.of(rules, request.subject, since)
        subscription, manifest = told or self._facts.remembered(rules, request, now)
        entitlement = rules.resolve(subscription, request, now, manifest, wallet)
        hold = Hold(_new_reservation_id(request), _new_decision_id(), request, rates)
        metering = None
        # Of whom nothing is known, no counters are: a hold of none would be charged nothing.
        if subscription is not None:
            with contextlib.suppress(Unavailable):
                metering = await self._meter_charges(rules, hold, entitlement, now, since)
        if self._standby is not None and entitlement.is_local:
            metering = self._stood_in(told, request, entitlement, metering, now)
        decision = _decide(rules, hold, entitlement, metering, now)
        if told is None and not decision.degraded:
            decision = replace(decision, degraded=True)
        if metering is None or metering.is_remembered:
            decision = self._provisional(hold, entitlement, decision)
        elif metering.reservation is not None and decision.is_denied:
            # A rule changed its mind between two readings. If this is lost, the hold still
            # ends by its own expiry.
            await unless_unavailable(self._meter.withdraw(metering.reservation.id, since=since))
        self._log.record(Checked(request, subscription, decision, rules, manifest, wallet))
        return decision

    async def check_all(self, requests: Sequence[CheckRequest]) -> list[Decision | RequestFault]:
        """One decision for each request, in their order; a fault of one is its own."""

        async def check(request: CheckRequest) -> Decision | RequestFault:
            try:
                return await self.check(request)
            except RequestFault as fault:
                return fault

        return list(await asyncio.gather(*map(check, requests)))

    async def explain(
        self, request: CheckRequest, what_if: WhatIf = AS_IT_IS, *, trace: bool = False
    ) -> Explained:
        """What a check without a hold would answer, and why; nothing is counted or recorded.

        Args:
            what_if: facts that are taken for granted.
            trace: whether the value of each part of an expression is told too.
        """
        since, rules = self._clock.monotonic(), self._policies.snapshot
        now = what_if.now or self._clock.now()
        rates = self._pricing.rates(rules, request.model)
        request = with_cost(replace(request, reserve=False), request.estimate, rates)
        told, wallet = await self._facts.of(rules, request.subject, since, what_if)
        subscription, manifest = told or (what_if.subscription, None)
        entitlement = rules.resolve(subscription, request, now, manifest, wallet)
        hold = Hold("", _new_decision_id("exp_"), request, rates)
        metering = await unless_unavailable(self._assumed(hold, entitlement, what_if, now, since))
        decision = _decide(rules, hold, entitlement, metering, now)
        readings = None if metering is None else metering.readings
        # Of thousands of rules this takes a while: checks go on beside it.
        explanation = await asyncio.to_thread(
            rules.explain,
            request,
            subscription,
            readings,
            now,
            manifest=manifest,
            wallet=wallet,
            trace=trace,
        )
        return Explained(decision, explanation)

    async def extend(
        self, reservation_id: str, ttl_s: int, estimate: Amounts, request_id: str = ""
    ) -> Decision:
        """Let a reservation live on and hold a further estimate, if a check would allow it.

        The same `request_id` again, as the latest extension had it, holds nothing more.

        Raises:
            UnknownReservation, ReservationEnded: there is no live one.
            Unavailable: the store did not answer in time; nothing is known to have changed.
        """
        now, since, rules = self._clock.now(), self._clock.monotonic(), self._policies.snapshot
        first = await self._meter.held_request(reservation_id, since=since)
        rates = self._pricing.rates(rules, first.model)
        request = replace(first, ttl_s=ttl_s, request_id="")
        request = with_cost(request, estimate, rates)
        subscription, manifest = await self._facts.told(request.subject, since)
        wallet = await self._facts.wallet(rules, request.subject, since)
        entitlement = rules.resolve(subscription, request, now, manifest, wallet)
        # The run holds its request and its place already: a limit of which no more is asked
        # has no say, or a run in the last place could never live on. Rules see it all the same.
        charges = tuple(
            replace(charge, is_asked=charge.amount > 0) for charge in entitlement.charges
        )
        entitlement = replace(entitlement, charges=charges)
        decision_id = _new_decision_id()
        if request_id:
            decision_id = _decision_id_of(reservation_id, request_id)
        hold = Hold(reservation_id, decision_id, request, rates)
        metering = await self._meter.read(request.subject, charges, since=since)
        readings = metering.readings
        decision = _decide(rules, hold, entitlement, metering, now)
        if not decision.is_denied:
            asked = tuple(charge for charge in charges if charge.is_asked)
            metering = await self._meter.extend(hold, asked, since=since)
            fresh = {reading.limit.id: reading for reading in metering.readings}
            readings = tuple(fresh.get(reading.limit.id, reading) for reading in readings)
            metering = replace(metering, readings=readings)
            decision = _decide(rules, hold, entitlement, metering, now)
        self._log.record(Checked(request, subscription, decision, rules, manifest, wallet))
        return decision

    async def commit(
        self, reservation_id: str, used: Amounts, *, final: bool, model: str = ""
    ) -> Settlement:
        """Charge what a reservation's run has used; see `Meter.commit`.

        Args:
            model: that was really used; what it costs comes before what was estimated.
        """
        since, rules = self._clock.monotonic(), self._policies.snapshot
        if model and rules.prices is not None:
            used = priced(used, self._pricing.rates(rules, model))
        else:
            used = replace(used, cost=UNTOLD)
        return await self._meter.commit(reservation_id, used, final=final, since=since, model=model)

    async def release(self, reservation_id: str) -> Settlement:
        """Give back what a reservation holds; see `Meter.release`."""
        return await self._meter.release(reservation_id, since=self._clock.monotonic())

    async def record(self, events: Sequence[UsageEvent]) -> Tally:
        """Count reported use, each event once.

        Raises:
            Unavailable, OutboxFull: some may not have been counted; sending all again is harmless.
        """
        now, rules = self._clock.now(), self._policies.snapshot
        by_app: dict[str, list[ChargedEvent]] = defaultdict(list)
        for reported in events:
            event = self._pricing.event(rules, reported)
            subject = event.request.subject
            since = self._clock.monotonic()
            subscription, manifest = await self._facts.told(subject, since)
            charges = rules.charges(subscription, event.request, now, manifest)
            charged = ChargedEvent(event, charges)
            if event.kind is EventKind.SUMMARY:
                charged = summed_up(rules, charged)
            by_app[subject.app_id].append(charged)
        # Nobody waits for this with a chat: each visit to the store has the time of its own.
        tallies = [
            await self._meter.record(
                app_id, found[start : start + _BATCH], since=self._clock.monotonic()
            )
            for app_id, found in by_app.items()
            for start in range(0, len(found), _BATCH)
        ]
        return Tally(
            sum(tally.accepted for tally in tallies),
            sum(tally.duplicates for tally in tallies),
            tokens=sum(tally.tokens for tally in tallies),
        )

    async def overview(self, subject: Subject) -> Overview:
        """The plan in force with all its limits and what is left of them.

        Raises:
            Unavailable: subscription or counters could not be had in time.
        """
        now, since, rules = self._clock.now(), self._clock.monotonic(), self._policies.snapshot
        subscription, manifest = await self._facts.told(subject, since)
        wallet = await self._facts.wallet(rules, subject, since)
        entitlement, plan = rules.overview(subscription, subject, now, manifest, wallet)
        metering, grants = await asyncio.gather(
            self._meter.read(subject, entitlement.charges, since=since),
            self._meter.grants(subject, since=since),
        )
        return Overview(entitlement, plan, metering.readings, grants, rules.revision)

    async def _meter_charges(
        self, rules: Rules, hold: Hold, entitlement: Entitlement, now: datetime, since: float
    ) -> Metering:
        """Hold what is asked for, unless that is refused whatever the counters say."""
        request, charges = hold.request, entitlement.charges
        if not request.reserve:
            return await self._read(hold, entitlement, since)
        if entitlement.refuses or entitlement.rules_read_limits:
            if request.request_id:
                first = await self._meter.recall(hold, charges, since=since)
                if first is not None:
                    return first
            # What a refused request would hold, it would take from others for a moment.
            read = await self._read(hold, entitlement, since)
            if entitlement.refuses or _decide(rules, hold, entitlement, read, now).is_denied:
                return read
        return await self._meter.reserve(hold, charges, since=since)

    async def _assumed(
        self, hold: Hold, entitlement: Entitlement, what_if: WhatIf, now: datetime, since: float
    ) -> Metering:
        """What the counters hold, what is told in its place, or at another time that alone."""
        told = what_if.counters
        if what_if.now is not None:
            return Metering(tuple(told.reading(charge, now) for charge in entitlement.charges))
        metering = await self._read(hold, entitlement, since)
        return replace(metering, readings=tuple(map(told.over, metering.readings)))

    def _stood_in(
        self,
        told: tuple[Subscription, Manifest | None] | None,
        request: CheckRequest,
        entitlement: Entitlement,
        metering: Metering | None,
        now: datetime,
    ) -> Metering:
        """What was metered, and remembered for later; or what is remembered from before."""
        standby, subject, charges = self._standby, request.subject, entitlement.charges
        assert standby is not None  # whoever asks has looked
        if metering is None:
            return standby.read(subject, charges, now)
        if told is not None:
            standby.note(subject, told, charges, metering, now)
        return metering

    def _provisional(self, hold: Hold, entitlement: Entitlement, decision: Decision) -> Decision:
        """Give out what can be settled though no store is known to hold it."""
        request = hold.request
        if not request.reserve or decision.is_denied:
            self._undo(hold)
            return decision
        # Should the store hold it after all, it is settled like any other.
        name = Provisional(hold.reservation_id, decision.at, request).id
        expires_at = decision.at + timedelta(seconds=request.ttl_s)
        if self._standby is not None and entitlement.is_local:
            subject, charges = request.subject, entitlement.charges
            self._standby.hold(name, subject, charges, decision.at, expires_at)
        reservation = Reservation(name, expires_at, request.estimate.tokens)
        return replace(decision, reservation=reservation)

    def _undo(self, hold: Hold) -> None:
        """Give back what a store may have held whose answer did not come in time.

        Nobody knows of it, unless the request has an id: then it may come again and gets it.
        """
        if not hold.request.reserve or hold.request.request_id:
            return

        async def withdraw() -> None:
            with contextlib.suppress(Unavailable, RequestFault):
                since = self._clock.monotonic()
                await self._meter.withdraw(hold.reservation_id, since=since)

        task = asyncio.create_task(withdraw())
        self._undoing.add(task)
        task.add_done_callback(self._undoing.discard)

    async def _read(self, hold: Hold, entitlement: Entitlement, since: float) -> Metering:
        if not entitlement.charges:
            return Metering(())
        return await self._meter.read(hold.request.subject, entitlement.charges, since=since)


def _decide(
    rules: Rules,
    hold: Hold,
    entitlement: Entitlement,
    metering: Metering | None,
    now: datetime,
) -> Decision:
    readings = None if metering is None else metering.readings
    reservation = None if metering is None else metering.reservation
    verdict = rules.decide(hold.request, entitlement, readings, now)
    effect, reasons, remedies = verdict.effect, verdict.reasons, verdict.remedies
    is_known = metering is not None and metering.decision_id not in (None, hold.decision_id)
    if effect is Effect.DENY and reservation is not None and is_known:
        # This request was let through before, and its units are held: what has changed since
        # is for the next one.
        effect, reasons = combine([reason for reason in reasons if not reason.refuses])
        remedies = ()
    denied = effect is Effect.DENY
    counters_lost = metering is not None and metering.counters_lost
    is_remembered = metering is not None and metering.is_remembered
    return Decision(
        id=(metering and metering.decision_id) or hold.decision_id,
        at=now,
        effect=effect,
        mode=entitlement.mode,
        plan=entitlement.plan,
        subscription_status=entitlement.subscription_status,
        reasons=reasons,
        readings=tuple(readings or ()),
        revision=rules.revision,
        reservation=None if denied else reservation,
        remedies=remedies,
        errors=(*verdict.errors, _COUNTERS_LOST) if counters_lost else verdict.errors,
        degraded=verdict.degraded or counters_lost or is_remembered,
        data_age_s=metering.age_s if metering is not None else None,
    )


def _new_decision_id(prefix: str = "dec_") -> str:
    return prefix + nonce(22)


def _decision_id_of(reservation_id: str, request_id: str) -> str:
    """The same for the same extension, so that the store knows it again."""
    digest = hashlib.blake2b(f"{reservation_id} {request_id}".encode(), digest_size=16)
    return "dec_" + digest.hexdigest()


def _new_reservation_id(request: CheckRequest) -> str:
    if not request.reserve:
        return ""
    token = reservation_token(request.request_id, nonce(24))
    return name_reservation(request.subject.app_id, token)
