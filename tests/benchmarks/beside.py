"""What do checks cost that are no server: our own library, and LiteLLM's hook?

Each is a process that asks itself, where otherwise the server runs, with a Redis of its own.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.contestants import Arena
from tests.benchmarks.cores import begun_on, places
from tests.processes import ROOT, clean_environment

LIBRARY: Final = "library"
LITELLM: Final = "litellm"
PYTHON: Final = ROOT / ".tools/litellm/bin/python"
"""Of the environment that `make bench` makes for LiteLLM, beside a log of how that went."""
_LOG: Final = ROOT / ".tools/litellm.log"
_HOOK: Final = Path(__file__).with_name("litellm_hook.py")
TITLES: Final = {
    LIBRARY: "PDP.check and commit, in process",
    LITELLM: "LiteLLM's hooks, in process",
}
_MOST: Final = 5
"""Rounds: each takes as long to begin as to measure."""


@dataclass(frozen=True, slots=True)
class Alone:
    """One round; costs are in microseconds a request."""

    rate: float
    own_us: float


def measure(
    arena: Arena,
    wanted: Mapping[str, bool],
    rounds: int,
    seconds: float,
    note: Callable[[str], None],
) -> dict[str, list[Alone]]:
    """Every one that is wanted and there, in every round."""
    commands = {LIBRARY: [sys.executable, "-m", "tests.benchmarks.library"]}
    if PYTHON.exists():
        commands[LITELLM] = [str(PYTHON), str(_HOOK)]
    elif wanted[LITELLM]:
        note(why_not())
    chosen = [name for name in commands if wanted[name]]
    stores = {name: arena.redis_of(name) for name in chosen}
    measured: dict[str, list[Alone]] = {name: [] for name in chosen}
    for _ in range(min(rounds, _MOST)):
        for name in chosen:
            told = _run([*commands[name], stores[name], "--seconds", str(seconds)])
            count = told["requests"]
            measured[name].append(Alone(count / told["us"] * 1e6, told["cpu_us"] / count))
    return measured


def why_not() -> str:
    """Why LiteLLM is not there."""
    if not _LOG.exists():
        return "LiteLLM is not installed: `make bench` does that"
    last = _LOG.read_text().strip().rpartition("\n")[2]
    return f"LiteLLM does not install: {last}"


def _run(command: list[str]) -> dict[str, Any]:
    env = clean_environment() | {"PYTHONPATH": str(ROOT)}
    with begun_on(places().server):
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told
