"""What would a candidate have decided of checks that were answered?"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from structlog.testing import capture_logs

from sidecar.adapters.clock import SystemClock
from sidecar.adapters.shadow.log import MOST_WAITING, ShadowDecisions
from sidecar.adapters.shadow.tally import LISTED
from sidecar.domain.decision import Decision, Effect
from sidecar.domain.limits import Charge, Reading
from sidecar.domain.policies import Comparison
from sidecar.domain.request import CheckRequest, Subject
from sidecar.domain.subscription import Subscription
from sidecar.domain.usage import Metering
from sidecar.errors import MeterUnavailable
from sidecar.policy.snapshot import PolicySet
from sidecar.ports import Checked, Meter
from tests.processes import await_that
from tests.unit.world import NOW, ask, counters, policies, subscribed

LIVE = """
mode: enforce
plans:
  free:
    plugins: ["*"]
    limits: [{id: daily, meter: tokens, max: 1000, window: day}]
"""


class Counters:
    """A meter that only reads; it is asked for what was not read for the answer."""

    def __init__(self, used: int = 0, *, gone: bool = False) -> None:
        self.used = used
        self.gone = gone
        self.read_for: list[str] = []

    async def read(self, subject: Subject, charges: Sequence[Charge], *, since: float) -> Metering:
        if self.gone:
            raise MeterUnavailable("gone")
        self.read_for += [charge.limit.id for charge in charges]
        return Metering(tuple(Reading(it.limit, self.used, 0, it.amount, None) for it in charges))


class Beside:
    """A live set and a candidate of it."""

    def __init__(self, folder: Path, candidate: str, meter: Counters | None = None) -> None:
        for name in ("live", "shadow"):
            (folder / name).mkdir()
        self.live = policies(folder / "live", LIVE)
        self.candidate: PolicySet | None = policies(folder / "shadow", candidate)
        self.meter = meter or Counters()
        # It is asked to read, and nothing else.
        meter_port = cast("Meter", self.meter)
        self.log = ShadowDecisions(lambda: self.candidate, meter_port, SystemClock())

    def checked(
        self,
        *,
        used: int = 0,
        request: CheckRequest | None = None,
        subscription: Subscription | None = None,
    ) -> Checked:
        """A check as it was answered."""
        request = request or ask(tokens=100, plugin="search")
        subscription = subscription or subscribed()
        entitlement = self.live.resolve(subscription, request, NOW)
        readings = counters(entitlement, {"daily": used})
        verdict = self.live.decide(request, entitlement, readings, NOW)
        decision = Decision(
            id="dec_1",
            at=NOW,
            effect=verdict.effect,
            mode=entitlement.mode,
            plan=entitlement.plan,
            subscription_status="active",
            reasons=verdict.reasons,
            readings=readings,
            revision=self.live.revision,
        )
        return Checked(request, subscription, decision, self.live)

    async def compare(self, *checks: Checked) -> Comparison:
        """What is found after these checks."""
        async with self.log.opened():
            for checked in checks:
                self.log.record(checked)
            await until(lambda: self.settled == len(checks))
        return self.comparison

    @property
    def comparison(self) -> Comparison:
        found = self.log.comparison
        assert found is not None
        return found

    @property
    def candidate_revision(self) -> str:
        assert self.candidate is not None
        return self.candidate.revision

    @property
    def settled(self) -> int:
        found = self.log.comparison
        return 0 if found is None else found.compared + found.left_out


async def until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(await_that, condition, "all is compared")


async def test_a_candidate_that_says_the_same_makes_no_difference(tmp_path: Path) -> None:
    beside = Beside(tmp_path, LIVE)

    found = await beside.compare(beside.checked(), beside.checked(used=1000))

    assert (found.compared, found.different, found.latest) == (2, 0, ())
    assert beside.meter.read_for == []


async def test_a_narrower_limit_is_read_off_the_counter_that_was_read_already(
    tmp_path: Path,
) -> None:
    beside = Beside(tmp_path, LIVE.replace("id: daily", "id: tight").replace("1000", "500"))

    found = await beside.compare(beside.checked(used=300), beside.checked(used=450))

    assert beside.meter.read_for == []
    assert (found.compared, found.different) == (2, 1)
    assert found.effects == {"allow->deny": 1}
    assert found.because == {"tight": 1}
    (difference,) = found.latest
    assert (difference.app_id, difference.user_id) == ("acme", "bob")
    assert (difference.decision_id, difference.at, difference.because) == ("dec_1", NOW, "tight")
    assert (difference.live_effect, difference.live_status) == (Effect.ALLOW, 200)
    assert (difference.shadow_effect, difference.shadow_status) == (Effect.DENY, 402)
    assert difference.shadow_reasons == ("tight",)


async def test_a_wider_limit_lets_through_what_was_refused(tmp_path: Path) -> None:
    beside = Beside(tmp_path, LIVE.replace("1000", "5000"))

    found = await beside.compare(beside.checked(used=1000))

    assert found.effects == {"deny->allow": 1}
    assert found.because == {"daily": 1}


async def test_a_rule_of_the_candidate_is_named(tmp_path: Path) -> None:
    rule = "rules: [{id: no-search, effect: warn, match: {plugins: [search]}, message: Mind.}]"
    beside = Beside(tmp_path, LIVE + rule)

    found = await beside.compare(beside.checked(), beside.checked(request=ask(tokens=1)))

    assert (found.effects, found.because) == ({"allow->warn": 1}, {"no-search": 1})


async def test_the_same_effect_for_other_reasons_is_told_apart_from_another_effect(
    tmp_path: Path,
) -> None:
    other = LIVE.replace("window: day", "window: day, status: 429").replace("1000", "500")
    beside = Beside(tmp_path, other)

    found = await beside.compare(*(beside.checked(used=used) for used in (0, 700, 1000, 1000)))

    assert (found.compared, found.different) == (4, 1)
    assert (found.effects, found.because) == ({"allow->deny": 1}, {"daily": 1})
    assert found.other_reasons == {"daily": 2}
    assert [each.live_effect for each in found.latest] == [Effect.ALLOW]
    assert found.latest[0].shadow_status == 429


async def test_a_counter_that_was_not_read_is_read_and_its_limit_named(tmp_path: Path) -> None:
    beside = Beside(tmp_path, LIVE.replace("window: day", "window: week"), Counters(used=1000))

    found = await beside.compare(beside.checked(used=0))

    assert beside.meter.read_for == ["daily"]
    assert (found.effects, found.uncounted) == ({"allow->deny": 1}, ("daily",))


async def test_a_counter_that_cannot_be_read_leaves_the_check_out(tmp_path: Path) -> None:
    beside = Beside(tmp_path, LIVE.replace("window: day", "window: week"), Counters(gone=True))

    found = await beside.compare(beside.checked())

    assert (found.compared, found.left_out) == (0, 1)


async def test_no_more_is_read_than_a_hundred_times_a_second(tmp_path: Path) -> None:
    beside = Beside(tmp_path, LIVE.replace("window: day", "window: week"))

    found = await beside.compare(*[beside.checked() for _ in range(900)])

    assert found.compared == len(beside.meter.read_for)
    assert found.compared + found.left_out == 900
    assert found.left_out > 0


async def test_what_does_not_fit_into_the_queue_is_left_out_and_counted(tmp_path: Path) -> None:
    beside = Beside(tmp_path, LIVE)
    checked = beside.checked()

    for _ in range(MOST_WAITING + 7):
        beside.log.record(checked)
    async with beside.log.opened():
        await until(lambda: beside.settled >= MOST_WAITING)

    assert beside.comparison.compared == MOST_WAITING


async def test_as_long_as_there_is_no_candidate_nothing_is_kept(tmp_path: Path) -> None:
    beside = Beside(tmp_path, LIVE)
    candidate, beside.candidate = beside.candidate, None
    async with beside.log.opened():
        for _ in range(3):
            beside.log.record(beside.checked())
        await until(lambda: not beside.log._waiting)
        assert beside.log.comparison is None
        beside.candidate = candidate
        beside.log.record(beside.checked())
        await until(lambda: beside.settled == 1)

    assert beside.comparison.compared == 1


async def test_another_candidate_begins_anew(tmp_path: Path) -> None:
    beside = Beside(tmp_path, LIVE.replace("1000", "50"))
    (tmp_path / "other").mkdir()
    await beside.compare(beside.checked())
    assert beside.comparison.different == 1

    beside.candidate = policies(tmp_path / "other", LIVE)
    async with beside.log.opened():
        beside.log.record(beside.checked())
        await until(lambda: beside.comparison.shadow_revision == beside.candidate_revision)

    assert (beside.comparison.compared, beside.comparison.different) == (1, 0)
    assert beside.comparison.latest == ()


async def test_the_latest_differences_are_listed_and_no_more(tmp_path: Path) -> None:
    beside = Beside(tmp_path, LIVE.replace("1000", "50"))
    checked = beside.checked()
    many = [
        replace(checked, decision=replace(checked.decision, id=f"dec_{number}"))
        for number in range(LISTED + 50)
    ]

    found = await beside.compare(*many)

    assert found.different == LISTED + 50
    assert len(found.latest) == LISTED
    assert found.latest[0].decision_id == f"dec_{LISTED + 49}"


async def test_a_run_that_lives_on_is_not_refused_by_a_limit_that_it_asks_no_more_of(
    tmp_path: Path,
) -> None:
    beside = Beside(tmp_path, LIVE.replace("1000", "500"))
    checked = beside.checked(used=600, request=ask(tokens=0))
    readings = tuple(replace(it, is_asked=False) for it in checked.decision.readings)
    extended = replace(checked.decision, readings=readings, reasons=(), effect=Effect.ALLOW)

    found = await beside.compare(replace(checked, decision=extended))

    assert found.different == 0


async def test_counters_that_could_not_be_had_are_not_had_by_the_candidate_either(
    tmp_path: Path,
) -> None:
    closed = "defaults: {failure_mode: closed}" + LIVE
    beside = Beside(tmp_path, closed)
    checked = beside.checked()
    degraded = replace(checked.decision, readings=(), degraded=True)

    found = await beside.compare(replace(checked, decision=degraded))

    assert beside.meter.read_for == []
    assert found.effects == {"allow->deny": 1}
    assert (found.because, found.latest[0].shadow_status) == ({"store": 1}, 503)


async def test_a_candidate_that_fails_leaves_the_check_out_and_the_next_is_compared(
    tmp_path: Path,
) -> None:
    beside = Beside(tmp_path, LIVE)
    wrong = replace(beside.checked(), subscription=cast("Subscription", object()))

    with capture_logs() as logs:
        found = await beside.compare(wrong, beside.checked())

    assert (found.compared, found.left_out) == (1, 1)
    assert [log["event"] for log in logs] == ["shadow_failed"]
