"""What is in force after the files were read again?"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from sidecar.domain.policies import Fault, Outcome, Rejection
from sidecar.domain.prices import Rates
from sidecar.policy.reloading import contents, in_force, judging
from sidecar.policy.reloading.contents import Contents, Origin
from sidecar.policy.reloading.in_force import Attempt, WatchedPolicies
from sidecar.policy.reloading.judging import Accepted, Refused, judge
from sidecar.policy.snapshot import PolicySet
from tests.processes import await_that
from tests.unit.world import write

SPEND = """
plans:
  {plan}: {{plugins: [], limits: [{{id: spend, meter: cost, max: 5, window: day}}]}}
"""
PRICES = "apiVersion: sidecar/v1\nkind: Prices\ncurrency: USD\nmodels: {{m: {rates}}}\n"
TEST = """
apiVersion: sidecar/v1
kind: PolicyTest
tests:
  - name: nobody has a plugin
    given: {{subscription: {{plan: free, status: active}}}}
    check: {{app_id: acme, user_id: bob, plugin: search}}
    expect: {{effect: {effect}}}
"""
NOW = datetime(2026, 5, 5, tzinfo=UTC)


class Files:
    """A policy and a price file, as an operator edits them, and what answers from them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.policies = folder / "policies"
        self.policies.mkdir()
        self.prices = folder / "prices.yaml"
        self.plan("free")
        self.price("{input: 1, output: 1}")
        self.put: list[PolicySet] = []
        self.origin = Origin(self.policies, self.prices, tests_s=10)
        first = judge(self.origin)
        assert isinstance(first, Accepted)
        self.watched = WatchedPolicies(self.origin, first, self.put.append, lambda: NOW)

    def plan(self, name: str) -> None:
        write(self.policies, SPEND.format(plan=name))

    def price(self, rates: str) -> None:
        self.prices.write_text(PRICES.format(rates=rates))

    def test(self, effect: str) -> None:
        (self.policies / "policy_test.yaml").write_text(TEST.format(effect=effect))

    async def reload(self) -> list[str]:
        """What is logged meanwhile."""
        with capture_logs() as logs:
            await self.watched.reload()
        return [log["event"] for log in logs]

    @property
    def in_force(self) -> tuple[set[str], Rates | None]:
        rules = self.put[-1]
        assert rules.prices is not None
        return set(rules.plan_ids), rules.prices.of("m")

    @property
    def rejection(self) -> Rejection:
        rejection = self.watched.report.rejection
        assert rejection is not None
        return rejection

    @property
    def generation(self) -> int:
        assert self.watched.report.in_force is not None
        return self.watched.report.in_force.generation


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    # A logger keeps the form of the log in which it first wrote, and other tests set other ones.
    for module in (in_force, judging):
        monkeypatch.setattr(module, "_log", structlog.get_logger("sidecar.policies"))
    return Files(tmp_path)


async def until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(await_that, condition, "the files are seen")


async def watching(files: Files, act: Callable[[], Awaitable[None]]) -> None:
    """Do something while the directory is looked at many times a second."""
    task = asyncio.create_task(files.watched.watch(0.01))
    try:
        await act()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


FREE, PRO = ({"free"}, Rates(1_000_000, 1_000_000)), ({"pro"}, Rates(1_000_000, 1_000_000))


async def test_prices_are_read_again_with_the_policies(files: Files) -> None:
    before = files.put[-1].revision
    files.price("{input: 2, output: 3}")

    assert await files.reload() == ["policies_loaded"]
    assert files.in_force == ({"free"}, Rates(2_000_000, 3_000_000))
    assert files.put[-1].revision != before


async def test_broken_prices_keep_the_whole_set_out(files: Files) -> None:
    files.price("{input: cheap, output: 3}")
    files.plan("pro")

    assert await files.reload() == ["policies_rejected"]
    assert files.in_force == FREE
    assert [(found.code, found.line) for found in files.rejection.findings] == [("B5", 4)]


async def test_prices_that_are_gone_keep_the_whole_set_out(files: Files) -> None:
    files.prices.unlink()

    assert await files.reload() == ["policies_rejected"]
    assert files.rejection.fault is Fault.UNREADABLE
    assert files.in_force == FREE


async def test_broken_policies_leave_everything_as_it_was(files: Files) -> None:
    files.price("{input: 2, output: 3}")
    files.plan("'not a plan'")

    assert await files.reload() == ["policies_rejected"]
    assert files.in_force == FREE
    assert files.rejection.fault is Fault.INVALID
    assert (files.rejection.at, files.rejection.stands) == (NOW, True)


async def test_a_directory_that_is_gone_leaves_everything_as_it_was(files: Files) -> None:
    files.policies.rename(files.folder / "elsewhere")

    assert await files.reload() == ["policies_rejected"]
    assert files.in_force == FREE
    assert "there is no such policy directory" in files.rejection.message


async def test_what_was_refused_is_still_told_when_the_files_are_right_again(files: Files) -> None:
    files.plan("'not a plan'")
    await files.reload()
    files.plan("free")

    assert await files.reload() == ["policies_unchanged"]
    assert files.rejection.stands is False
    assert files.generation == 1


async def test_a_set_whose_tests_fail_stays_out_and_says_what_they_expected(files: Files) -> None:
    files.plan("free")
    files.test("allow")

    assert await files.reload() == ["policies_rejected"]
    assert files.rejection.fault is Fault.TESTS_FAILED
    (finding,) = files.rejection.findings
    assert finding.message == "nobody has a plugin: effect: expected allow, got warn"
    assert finding.file == str(files.policies / "policy_test.yaml")
    assert finding.line == 5


async def test_tests_that_pass_are_counted_and_make_no_new_generation(files: Files) -> None:
    files.test("warn")

    assert await files.reload() == ["policies_unchanged"]
    assert files.watched.report.in_force is not None
    assert files.watched.report.in_force.tested is not None
    assert files.watched.report.in_force.tested.passed == 1
    assert len(files.put) == 1


async def test_tests_that_fail_are_not_run_where_they_have_no_time(files: Files) -> None:
    files.test("allow")
    origin = Origin(files.policies, files.prices, tests_s=0)

    assert isinstance(judge(origin), Accepted)


async def test_tests_that_take_too_long_keep_the_set_out(files: Files) -> None:
    files.test("warn")
    origin = Origin(files.policies, files.prices, tests_s=1e-9)

    refused = judge(origin)

    assert isinstance(refused, Refused)
    assert refused.fault is Fault.TESTS_TOO_SLOW


async def test_a_report_names_every_file_with_its_digest(files: Files) -> None:
    files.test("warn")
    await files.reload()

    found = files.watched.report.in_force
    assert found is not None
    assert [(file.name, file.kind) for file in found.files] == [
        ("policy.yaml", "policy"),
        ("policy_test.yaml", "test"),
        ("prices.yaml", "prices"),
    ]
    assert all(len(file.sha256) == 64 for file in found.files)
    assert (found.rules, found.limits, [plan.id for plan in found.plans]) == (0, 1, ["free"])


async def test_who_asks_while_a_set_is_judged_gets_what_was_written_before_he_asked(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), False
    loop = asyncio.get_running_loop()
    judged: list[Contents | None] = []

    def slow(origin: Origin, known: Contents | None = None) -> Accepted | Refused | None:
        found = judge(origin, known)
        judged.append(known)
        loop.call_soon_threadsafe(begun.set)
        while not go_on:
            time.sleep(0.001)
        return found

    monkeypatch.setattr(in_force, "judge", slow)
    files.plan("pro")
    first = asyncio.create_task(files.watched.reload())
    await begun.wait()
    files.plan("team")
    others = [asyncio.create_task(files.watched.reload()) for _ in range(5)]
    await asyncio.sleep(0)
    go_on = True
    await asyncio.gather(first, *others)

    assert len(judged) == 2
    assert [set(put.plan_ids) for put in files.put] == [{"free"}, {"pro"}, {"team"}]
    assert {task.result().outcome for task in others} == {Outcome.LOADED}


async def test_a_defect_in_judging_keeps_what_is_in_force(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(contents: Contents, origin: Origin) -> PolicySet:
        raise RecursionError("as deep as it gets")

    monkeypatch.setattr(Contents, "compiled", defect)
    files.plan("pro")

    assert await files.reload() == ["policies_not_judged", "policies_rejected"]
    assert files.rejection.fault is Fault.DEFECT
    assert files.in_force == FREE


async def test_a_directory_that_is_no_longer_to_be_read_is_told_and_watched_on(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: Path) -> list[Path]:
        raise PermissionError(13, "Permission denied")

    async def edit() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(contents, "policy_files", forbidden)
            await until(lambda: files.watched.report.rejection is not None)
        files.plan("pro")
        await until(lambda: files.in_force == PRO)

    await watching(files, edit)

    assert files.rejection.fault is Fault.UNREADABLE
    assert files.rejection.message == f"{files.policies}: cannot be read: Permission denied"


async def test_a_listener_that_fails_ends_no_watching(files: Files) -> None:
    def fails(attempt: Attempt) -> None:
        raise OSError("no space left on device")

    async def edit() -> None:
        files.watched.after_each.append(fails)
        files.plan("pro")
        await until(lambda: files.in_force == PRO)
        files.watched.after_each.clear()
        files.plan("free")
        await until(lambda: files.generation == 3)

    await watching(files, edit)


# -- watching -----------------------------------------------------------------------------------


async def test_an_edit_is_noticed(files: Files) -> None:
    async def edit() -> None:
        files.plan("pro")
        await until(lambda: files.in_force == PRO)

    await watching(files, edit)


async def test_an_editor_that_renames_is_noticed(files: Files) -> None:
    async def edit() -> None:
        other = files.folder / "new"
        other.mkdir()
        write(other, SPEND.format(plan="pro")).joinpath("policy.yaml").replace(
            files.policies / "policy.yaml"
        )
        await until(lambda: files.in_force == PRO)

    await watching(files, edit)


async def test_an_edit_that_keeps_size_and_time_is_noticed(files: Files) -> None:
    file = files.policies / "policy.yaml"
    before = file.stat()
    old = before.st_mtime_ns - 60_000_000_000

    async def edit() -> None:
        files.plan("team")
        assert file.stat().st_size == before.st_size
        os.utime(file, ns=(old, old))
        await until(lambda: files.in_force[0] == {"team"})

    os.utime(file, ns=(old, old))
    await watching(files, edit)


async def test_prices_that_change_are_noticed(files: Files) -> None:
    async def edit() -> None:
        files.price("{input: 2, output: 3}")
        await until(lambda: files.in_force == ({"free"}, Rates(2_000_000, 3_000_000)))

    await watching(files, edit)


async def test_files_that_say_nothing_change_nothing(files: Files) -> None:
    async def edit() -> None:
        (files.policies / "README.md").write_text("How we edit these")
        (files.policies / ".policy.yaml.swp").write_text("{")
        files.plan("pro")
        await until(lambda: files.in_force == PRO)

    with capture_logs() as logs:
        await watching(files, edit)

    assert [log["event"] for log in logs] == ["policies_loaded"]


async def test_what_was_refused_is_not_judged_again_before_it_changes(files: Files) -> None:
    looked = 0
    has_changed = files.watched._has_changed

    def counted() -> bool:
        nonlocal looked
        looked += 1
        return has_changed()

    files.watched._has_changed = counted  # type: ignore[method-assign] # counts, and does the same

    async def edit() -> None:
        files.plan("'not a plan'")
        await until(lambda: files.watched.report.rejection is not None)
        seen = looked
        await until(lambda: looked > seen + 20)
        files.plan("pro")
        await until(lambda: files.in_force == PRO)

    with capture_logs() as logs:
        await watching(files, edit)

    assert [log["event"] for log in logs] == ["policies_rejected", "policies_loaded"]


async def test_a_file_that_is_being_written_is_not_judged_before_it_rests(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = files.policies / "policy.yaml"
    whole = file.read_text().replace("free", "pro")
    parts = [whole[:end] for end in range(10, len(whole) + 10, 10)]
    look = in_force._look

    def look_at_a_further_part(origin: Origin) -> Contents | str:
        if parts:
            file.write_text(parts.pop(0))
        return look(origin)

    monkeypatch.setattr(in_force, "_look", look_at_a_further_part)

    async def edit() -> None:
        await until(lambda: not parts and files.in_force == PRO)

    with capture_logs() as logs:
        await watching(files, edit)

    assert [log["event"] for log in logs] == ["policies_loaded"]


async def test_who_asks_has_judged_at_once_what_stands_there_half_written_or_not(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def look_at_something_else(origin: Origin) -> str:
        nonlocal looks
        looks += 1
        return f"never at rest: {looks}"

    monkeypatch.setattr(in_force, "_look", look_at_something_else)
    file = files.policies / "policy.yaml"
    whole = file.read_text().replace("free", "pro")

    async def ask() -> None:
        await until(lambda: looks > 2)
        file.write_text(whole[:-10])
        assert (await files.watched.reload()).outcome is Outcome.REJECTED
        file.write_text(whole)
        assert (await files.watched.reload()).outcome is Outcome.LOADED

    with capture_logs() as logs:
        await watching(files, ask)

    assert [log["event"] for log in logs] == ["policies_rejected", "policies_loaded"]
    assert files.in_force == PRO


async def test_a_config_map_is_swapped_by_its_link(tmp_path: Path) -> None:
    """As the kubelet does: files are links into `..data`, a link to a folder of that time."""
    mounted = tmp_path / "policies"

    def version(name: str, plan: str) -> Path:
        folder = mounted / name
        folder.mkdir(parents=True)
        return write(folder, f"plans: {{{plan}: {{plugins: []}}}}")

    def swap(folder: Path) -> None:
        following = mounted / "..data_tmp"
        following.symlink_to(folder.name)
        following.replace(mounted / "..data")

    swap(version("..2026_05_05_21_30", "free"))
    (mounted / "policy.yaml").symlink_to("..data/policy.yaml")
    origin = Origin(mounted)
    first = judge(origin)
    assert isinstance(first, Accepted)
    put: list[PolicySet] = []
    watched = WatchedPolicies(origin, first, put.append, lambda: NOW)
    task = asyncio.create_task(watched.watch(0.01))
    swap(version("..2026_05_05_21_45", "pro"))
    await until(lambda: len(put) == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert [set(policies.plan_ids) for policies in put] == [{"free"}, {"pro"}]
