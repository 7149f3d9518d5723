"""The tables of a run: for a person at a terminal, and in Markdown for the README."""

import os
import platform
import textwrap
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Final

from tests.benchmarks.beside import TITLES as ALONE
from tests.benchmarks.beside import Alone
from tests.benchmarks.contestants import TITLES
from tests.benchmarks.parts import PHASES, Phase
from tests.benchmarks.rooms import MEANT, PARTS
from tests.benchmarks.rounds import Round, Rounds, median, spread

_WIDTH: Final = 120
_COLUMNS: Final = (
    ("rate", "requests/s", 0), ("p50", "p50 ms", 2), ("p99", "p99", 2), ("p999", "p99.9", 2),
    ("most", "max", 1), ("server_us", "server µs", 1), ("redis_us", "Redis µs", 1),
    ("client_us", "client µs", 1), ("calls", "scripts", 2), ("resident_mb", "MB", 0),
    ("others", "others", 2),
)  # fmt: skip


def setting() -> str:
    """What everything runs on."""
    names = ("uvicorn", "starlette", "uvloop", "httptools", "hiredis", "pydantic")
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    load = " ".join(f"{each:.2f}" for each in os.getloadavg())
    return f"Python {platform.python_version()}, {packages}; {os.cpu_count()} cores, load {load}"


def wrapped(text: str) -> list[str]:
    """Lines of the README."""
    return textwrap.wrap(text, _WIDTH)


def table(rounds: Rounds, floor: str) -> list[str]:
    """Medians with least and most beneath, and the share of the floor's throughput."""
    heads = " ".join(f"{head:>10}" for _, head, _ in _COLUMNS)
    lines = [f"{'':27} {heads} {'of ' + floor:>8}"]
    for name, measured in rounds.items():
        medians = " ".join(f"{median(measured, part):10.{digits}f}" for part, _, digits in _COLUMNS)
        lines.append(f"{TITLES.get(name, name):27} {medians} {share_of(rounds, name, floor)}")
        ends = [(spread(measured, part), digits) for part, _, digits in _COLUMNS]
        told = " ".join(f"{_ends(*each):>10}" for each in ends)
        lines.append(f"{'':27} {told}")
    return lines


def _ends(ends: tuple[float, float], digits: int) -> str:
    return f"{ends[0]:.{digits}f}-{ends[1]:.{digits}f}"


def share_of(rounds: Rounds, name: str, floor: str) -> str:
    if floor not in rounds:
        return ""
    return f"{median(rounds[name], 'rate') / median(rounds[floor], 'rate'):8.2f}"


def client_told(half: Rounds, redis_core: str) -> list[str]:
    """Whether the load generator was what was measured."""
    lines = []
    for name, rounds in half.items():
        rate = median(rounds, "rate")
        redis = rate * median(rounds, "redis_us") / 1e6
        late, latest = median(rounds, "late"), max(each.latest for each in rounds)
        lines.append(
            f"{TITLES.get(name, name)}: {rate:,.0f} requests/s; the load generator took"
            f" {median(rounds, 'busy'):.2f} of a core, Redis {redis:.2f} ({redis_core}), and was"
            f" late by {late:.2f} ms at the 99th percentile, {latest:.1f} ms at the worst"
        )
    return lines


def alone_told(measured: Mapping[str, Sequence[Alone]], floor: Sequence[Round]) -> list[str]:
    """Those that are no server, beside the echo."""
    lines = [f"{'':34}{'requests/s':>12}{'':>16}{'own CPU µs':>12}{'of ' + 'echo':>10}"]
    for name, rounds in measured.items():
        rates = [each.rate for each in rounds]
        rate, own = median(rounds, "rate"), median(rounds, "own_us")
        share = f"{rate / median(floor, 'rate'):10.2f}" if floor else ""
        ends = f"({min(rates):.0f}-{max(rates):.0f})"
        lines.append(f"{ALONE[name]:34}{rate:12.0f}{ends:>16}{own:12.1f}{share}")
    return lines


def parts_told(phases: Mapping[str, Phase]) -> list[str]:
    """What each part of the server takes: its share, and the microseconds that this comes to."""
    told = [(PHASES[what], phase) for what, phase in phases.items()]
    heads = "".join(f"{name:>22}" for name, _ in told)
    lines = [f"{'':22}{heads}"]
    for part in PARTS:
        cells = (
            f"{phase.shares[part]:>11.1%} {phase.shares[part] * phase.server_us:7.1f} µs"
            for _, phase in told
        )
        lines.append(f"{part:22}{''.join(cells)}  {MEANT[part]}")
    whole = "".join(f"{phase.server_us:19.1f} µs" for _, phase in told)
    beside = "".join(f"{phase.redis_us:19.1f} µs" for _, phase in told)
    looked = "".join(f"{phase.samples:22}" for _, phase in told)
    ways = [
        f"policy, {name}: " + ", ".join(f"{way} {share:.1%}" for way, share in phase.ways.items())
        for name, phase in told
    ]
    return [
        *lines,
        f"{'the server in all':22}{whole}",
        f"{'Redis beside it':22}{beside}",
        f"{'samples':22}{looked}",
        *ways,
    ]
