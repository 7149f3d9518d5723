"""What does a process answer from that follows what another one has judged?"""

import asyncio
import json
from pathlib import Path

import pytest

from sidecar.domain.policies import Outcome
from sidecar.policy.reloading.contents import Origin
from sidecar.policy.reloading.in_force import WatchedPolicies
from sidecar.policy.reloading.kept import KeptPolicies, find, followed, published, watched
from tests.processes import await_that
from tests.unit.test_reload import NOW
from tests.unit.world import write

POLICY = "plans: {{{plan}: {{plugins: []}}}}\n"


class Two:
    """A process that judges a directory, and one that follows it."""

    def __init__(self, folder: Path) -> None:
        self.policies = folder / "policies"
        self.published = folder / "published"
        for directory in (self.policies, self.published):
            directory.mkdir()
        self.plan("free")
        self.origin = Origin(self.policies)
        self.judge = watched(find(self.origin), lambda: NOW, 0)
        published(self.judge, self.published)
        self.asked = 0
        self.follower = self.begun_later()

    def begun_later(self) -> KeptPolicies:
        return followed(self.published, self.origin, None, self.ask)

    def ask(self) -> None:
        self.asked += 1
        self.judge.reload_soon()

    def plan(self, name: str) -> None:
        write(self.policies, POLICY.format(plan=name))

    @property
    def plans(self) -> set[str]:
        return set(self.follower.loaded.snapshot.plan_ids)


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)


async def test_who_follows_takes_over_what_was_accepted(two: Two) -> None:
    async with two.follower.up_to_date():
        two.plan("pro")
        await two.judge.live.reload()
        await asyncio.to_thread(await_that, lambda: two.plans == {"pro"}, "it is taken over")

    assert two.follower.loaded.snapshot.revision == two.judge.loaded.snapshot.revision
    assert two.follower.live.report == two.judge.live.report


async def test_who_follows_asks_and_answers_with_what_is_in_force_here(two: Two) -> None:
    async with two.follower.up_to_date():
        two.plan("pro")
        reloaded = await two.follower.live.reload()

    assert (reloaded.outcome, two.asked) == (Outcome.LOADED, 1)
    assert two.plans == {"pro"}
    assert reloaded.report.in_force is not None
    assert reloaded.report.in_force.revision == two.follower.loaded.snapshot.revision


async def test_what_was_refused_never_leaves_the_judge_but_for_its_findings(two: Two) -> None:
    async with two.follower.up_to_date():
        two.plan("'not a plan'")
        reloaded = await two.follower.live.reload()

    assert reloaded.outcome is Outcome.REJECTED
    assert two.plans == {"free"}
    assert "not a plan" not in json.loads((two.published / "live.json").read_text())["policies"]
    assert reloaded.report.rejection is not None
    assert reloaded.report.rejection.findings[0].file == str(two.policies / "policy.yaml")


async def test_what_could_not_be_published_is_published_as_soon_as_it_can(two: Two) -> None:
    in_the_way = two.published / "live.following"
    in_the_way.mkdir()
    two.plan("pro")
    with pytest.raises(OSError, match="directory"):
        await two.judge.live.reload()
    assert two.plans == {"free"}

    in_the_way.rmdir()
    assert isinstance(two.judge.live, WatchedPolicies)
    watching = asyncio.create_task(two.judge.live.watch(0.01))
    async with two.follower.up_to_date():
        await asyncio.to_thread(await_that, lambda: two.plans == {"pro"}, "it is taken over")
    watching.cancel()


async def test_who_is_begun_later_answers_from_what_was_accepted_last(two: Two) -> None:
    two.plan("'not a plan'")
    await two.judge.live.reload()

    later = two.begun_later()

    assert set(later.loaded.snapshot.plan_ids) == {"free"}
    assert later.live.report.rejection is not None


async def test_places_are_named_where_the_author_wrote_them(two: Two) -> None:
    (plan,) = two.follower.loaded.snapshot.plans

    assert plan.origin.file == str(two.policies / "policy.yaml")


async def test_what_cannot_be_read_for_once_is_followed_later(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = two.published / "live.json"
    whole = file.read_bytes()
    monkeypatch.setattr("sidecar.policy.reloading.published._RETRY_S", 0.01)
    async with two.follower.up_to_date():
        file.unlink()
        file.write_bytes(whole[: len(whole) // 2])
        two.plan("pro")
        await two.judge.live.reload()
        await asyncio.to_thread(await_that, lambda: two.plans == {"pro"}, "it is taken over")
