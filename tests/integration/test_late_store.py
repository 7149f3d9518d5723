"""A store whose answer comes too late has held all the same: it is given back."""

import time
from collections.abc import Sequence
from pathlib import Path

from sidecar.adapters.clock import SystemClock
from sidecar.adapters.decisions.told import NoDecisions
from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.manifests import SqliteManifests
from sidecar.adapters.sqlite.meter import SqliteMeter
from sidecar.adapters.sqlite.subscriptions import SqliteSubscriptions
from sidecar.adapters.sqlite.wallets import SqliteWallets
from sidecar.domain.limits import Charge
from sidecar.domain.modes import Ceiling
from sidecar.domain.request import Amounts, CheckRequest, Subject
from sidecar.domain.usage import Hold, Metering
from sidecar.errors import MeterUnavailable
from sidecar.facts import Facts
from sidecar.pdp import PDP
from sidecar.policy.load import load, shipped
from sidecar.policy.reloading.kept import LoadedPolicies

BOB = Subject("acme", "bob")


class LateMeter(SqliteMeter):
    """Holds as it is told, and answers when nobody waits any more."""

    async def reserve(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Metering:
        await super().reserve(hold, charges, since=since)
        raise MeterUnavailable("the answer came too late")


async def reserved_after(request_id: str, tmp_path: Path) -> int:
    """Tokens that are still held for Bob when the reserve was answered with 503."""
    policies = LoadedPolicies(load(shipped("platform"), ceiling=Ceiling.AS_WRITTEN))
    database = Database(tmp_path / "store.db")
    database.open()
    try:
        meter = LateMeter(database)
        clock = SystemClock()
        pdp = PDP(
            policies,
            Facts(
                SqliteSubscriptions(database), SqliteManifests(database), SqliteWallets(database)
            ),
            meter,
            NoDecisions(),
            clock,
        )
        estimate = Amounts(tokens=100, requests=1, concurrency=1)
        decision = await pdp.check(
            CheckRequest(BOB, estimate=estimate, reserve=True, request_id=request_id)
        )
        assert (decision.is_denied, decision.degraded) == (True, True)
        # The database does one thing after the other: this reading stands behind the undoing.
        overview = await pdp.overview(BOB)
        await meter.ping(since=time.monotonic())
        return overview.readings[0].reserved
    finally:
        database.close()


async def test_what_was_held_for_a_refused_request_is_given_back(tmp_path: Path) -> None:
    assert await reserved_after("", tmp_path) == 0


async def test_what_was_held_for_a_request_with_an_id_waits_for_it_to_come_again(
    tmp_path: Path,
) -> None:
    assert await reserved_after("r-1", tmp_path) == 100
