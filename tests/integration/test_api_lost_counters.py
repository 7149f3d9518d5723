"""A store that has lost what it counted: decided all the same, and said in the answer."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.adapters.clock import SystemClock
from sidecar.adapters.decisions.told import NoDecisions
from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.manifests import SqliteManifests
from sidecar.adapters.sqlite.meter import SqliteMeter
from sidecar.adapters.sqlite.subscriptions import SqliteSubscriptions
from sidecar.adapters.sqlite.wallets import SqliteWallets
from sidecar.api.render import decision_body
from sidecar.domain.limits import Charge
from sidecar.domain.modes import Ceiling
from sidecar.domain.request import Amounts, CheckRequest, Subject
from sidecar.domain.usage import Hold, Metering
from sidecar.facts import Facts
from sidecar.pdp import PDP
from sidecar.policy.load import load, shipped
from sidecar.policy.reloading.kept import LoadedPolicies

BOB = Subject("acme", "bob")


class ForgetfulMeter(SqliteMeter):
    """Notices at each visit that its counters were lost."""

    async def read(self, subject: Subject, charges: Sequence[Charge], *, since: float) -> Metering:
        return replace(await super().read(subject, charges, since=since), counters_lost=True)

    async def reserve(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Metering:
        return replace(await super().reserve(hold, charges, since=since), counters_lost=True)


@pytest.mark.parametrize("reserve", [False, True])
async def test_a_decision_on_lost_counters_is_degraded_and_says_why(
    reserve: bool, tmp_path: Path
) -> None:
    policies = LoadedPolicies(load(shipped("platform"), ceiling=Ceiling.AS_WRITTEN))
    database = Database(tmp_path / "store.db")
    database.open()
    try:
        pdp = PDP(
            policies,
            Facts(
                SqliteSubscriptions(database), SqliteManifests(database), SqliteWallets(database)
            ),
            ForgetfulMeter(database),
            NoDecisions(),
            SystemClock(),
        )
        estimate = Amounts(tokens=100, requests=1, concurrency=1)
        body = decision_body(await pdp.check(CheckRequest(BOB, estimate=estimate, reserve=reserve)))
    finally:
        database.close()

    assert (body["effect"], body["degraded"]) == ("allow", True)
    assert body["errors"] == [
        {
            "id": "store",
            "message": "The store has lost what it had counted for this app; "
            "it counts anew from here.",
        }
    ]
