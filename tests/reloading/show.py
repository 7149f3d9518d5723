"""A good, a broken and a good set are put in force by hang-ups while checks go on."""

import asyncio
import signal
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from tests.benchmarks.policy import PLUGIN, globs_of, rule
from tests.processes import Sidecar, await_that
from tests.reloading.load import Answer, Load

FILES: Final = 50
ASK: Final = (
    f'{{"app_id": "acme", "user_id": "ann", "plugin": "{PLUGIN}", "estimated_tokens": 10}}'
).encode()
_TRIED_S: Final = 1.5
_ROOM: Final = 0.5
"""The part of what a machine can do that is asked of it while it compiles policies besides."""
SETS: Final = {"first": 1_000_000, "second": 2_000_000, "third": 3_000_000}
"""What a set is known by in an answer: the bound of its only limit."""


@dataclass(frozen=True, slots=True)
class Phase:
    """What happened from one instant to another, in seconds of the monotonic clock.

    Attributes:
        in_force: the set that all checks after it are answered from.
    """

    name: str
    begin_s: float
    end_s: float
    in_force: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What came of it.

    Attributes:
        rate: checks a second that were asked for; fewer than wanted where the machine is slow.
        revisions: of each set, as the server named it.
        rejected: what the server told of the broken set.
    """

    rate: float
    answers: Sequence[Answer]
    failed: Sequence[str]
    phases: Sequence[Phase]
    revisions: dict[str, str]
    rejected: dict[str, object]

    def of(self, phase: Phase) -> list[Answer]:
        """What was asked in a phase."""
        return [it for it in self.answers if phase.begin_s <= it.due_s < phase.end_s]

    @property
    def torn(self) -> list[Answer]:
        """Answers whose parts are not all of the set whose revision they name."""
        name_of = {revision: name for name, revision in self.revisions.items()}
        return [
            it
            for it in self.answers
            if it.limit != SETS.get(name_of.get(it.revision, ""))
            or it.message != f"This is the {name_of[it.revision]} set."
        ]

    @property
    def stale(self) -> list[Answer]:
        """Answers from another set than the one that was told to be in force before they came."""
        found = []
        for before, phase in zip(self.phases, self.phases[1:], strict=False):
            allowed = {self.revisions[before.in_force], self.revisions[phase.in_force]}
            found += [it for it in self.of(phase) if it.revision not in allowed]
        return found


def write_set(directory: Path, name: str, rules: int) -> None:
    """So many rules, fifty or more, in fifty files; the first and the last one name the set."""
    free = f"{{plugins: ['*'], tokens_per_month: {SETS[name]}}}"
    plans = f"defaults: {{plan: free}}\nplans: {{free: {free}}}\n"
    named = f"  - {{id: name, effect: warn, message: This is the {name} set.}}\n"
    for index in range(FILES):
        numbers = range(index, rules, FILES)
        head = f"apiVersion: sidecar/v1\nkind: Policy\nmetadata: {{name: f{index}}}\n"
        written = "".join(rule(number, [f"x{globs_of(number)[0]}"]) for number in numbers)
        written += named if index == FILES - 1 else ""
        text = f"{head}mode: enforce\n{plans if index == 0 else ''}rules:\n{written}"
        (directory / f"{index:02}.yaml").write_text(text)


def break_set(directory: Path) -> None:
    """One letter too many in the middle."""
    file = directory / f"{FILES // 2:02}.yaml"
    file.write_text(file.read_text().replace("mode: enforce", "modee: enforce"))


async def show(
    folder: Path, *, rate: float, rules: int, workers: int, quiet_s: float = 1.0
) -> Shown:
    """Run it.

    Args:
        quiet_s: how long nothing is edited before, between and after.
    """
    policies = folder / "policies"
    policies.mkdir()
    write_set(policies, "first", rules)
    with Sidecar(
        policies=policies,
        store="sqlite:///./data/sidecar.db",
        cwd=folder,
        env={"SIDECAR_POLICIES_POLL_S": "0"},
        arguments=("--workers", str(workers)),
    ) as sidecar:
        await_that(lambda: sidecar.client.get("/readyz").status_code == 200, "it is ready")
        return await _Show(sidecar, policies, rate, rules, quiet_s, workers).run()


class _Show:
    def __init__(
        self,
        sidecar: Sidecar,
        policies: Path,
        rate: float,
        rules: int,
        quiet_s: float,
        workers: int,
    ) -> None:
        self._sidecar = sidecar
        self._workers = workers
        self._policies = policies
        self._rules = rules
        self._quiet_s = quiet_s
        # Each question on a connection of its own, so that every worker is asked.
        afresh = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.AsyncClient(base_url=sidecar.url, timeout=20, limits=afresh)
        self._rate = rate
        self._phases: list[Phase] = []
        self._revisions: dict[str, str] = {}

    async def run(self) -> Shown:
        rate = min(self._rate, _ROOM * await self._given())
        load = self._load(rate)
        loading = asyncio.create_task(load.run())
        await self._rest("first")
        await self._edit("second", lambda: write_set(self._policies, "second", self._rules))
        await self._rest("second")
        rejected = await self._break()
        await self._rest("second")
        await self._edit("third", lambda: write_set(self._policies, "third", self._rules))
        await self._rest("third")
        load.end()
        await loading
        await self._client.aclose()
        return Shown(rate, load.answers, load.failed, self._phases, self._revisions, rejected)

    def _load(self, rate: float) -> Load:
        address = httpx.URL(self._sidecar.url)
        return Load(address.host, address.port or 80, ASK, rate)

    async def _given(self) -> float:
        """Checks a second that this machine answers now, of twice as many as are wanted."""
        load = self._load(2 * self._rate)
        loading = asyncio.create_task(load.run())
        await asyncio.sleep(_TRIED_S)
        given = len(load.answers) / _TRIED_S
        load.end()
        await loading
        return given

    async def _rest(self, name: str) -> None:
        begin_s = time.monotonic()
        await asyncio.sleep(self._quiet_s)
        self._revisions[name] = str((await self._standing())["revision"])
        self._phases.append(Phase("quiet", begin_s, time.monotonic(), name))

    async def _edit(self, name: str, write: Callable[[], None]) -> None:
        before = (await self._standing())["revision"]
        await asyncio.to_thread(write)
        begin_s = time.monotonic()
        self._sidecar.process.send_signal(signal.SIGHUP)
        told = await self._until(lambda told: told["revision"] != before)
        await asyncio.to_thread(self._await_followers, str(told["revision"]))
        self._phases.append(Phase(f"to the {name} set", begin_s, time.monotonic(), name))

    async def _break(self) -> dict[str, object]:
        await asyncio.to_thread(break_set, self._policies)
        begin_s = time.monotonic()
        self._sidecar.process.send_signal(signal.SIGHUP)
        told = await self._until(lambda told: told["rejected"] is not None)
        self._phases.append(Phase("a broken set", begin_s, time.monotonic(), "second"))
        rejected = told["rejected"]
        assert isinstance(rejected, dict)
        return rejected

    def _await_followers(self, revision: str) -> None:
        """Return when every worker has said that it follows; answers may all come from one."""

        def followers() -> int:
            lines = self._sidecar.errors().splitlines()
            return sum("policies_followed" in line and revision in line for line in lines)

        expected = self._workers if self._workers > 1 else 0
        await_that(lambda: followers() == expected, "all workers follow")

    async def _until(self, holds: Callable[[dict[str, object]], bool]) -> dict[str, object]:
        """What is told as soon as it holds."""
        async with asyncio.timeout(60):
            while True:
                told = await self._standing()
                if holds(told):
                    return told
                # Whoever only asks how it stands keeps no check waiting.
                await asyncio.sleep(0.1)

    async def _standing(self) -> dict[str, object]:
        told: dict[str, object] = (await self._client.get("/v1/policies")).json()
        return told


def percentile(took_s: Sequence[float], part: float) -> float:
    """The time within which that part of the answers came, in milliseconds."""
    if len(took_s) < 2:
        return 0.0
    return statistics.quantiles(took_s, n=1000, method="inclusive")[round(part * 1000) - 1] * 1000
