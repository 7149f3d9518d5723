"""The tables of a run: for a person at a terminal, and in Markdown for the README."""

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Final

from tests.benchmarks.rounds import Round, Rounds, median, spread

_COLUMNS: Final = (
    ("rate", "requests/s", 0), ("p50", "p50 ms", 2), ("p99", "p99", 2), ("p999", "p99.9", 2),
    ("most", "max", 1), ("server_us", "server µs", 1), ("redis_us", "Redis µs", 1),
    ("client_us", "client µs", 1), ("calls", "scripts", 2), ("resident_mb", "MB", 0),
)  # fmt: skip


def setting() -> str:
    """What everything runs on."""
    names = ("uvicorn", "starlette", "uvloop", "httptools", "hiredis", "pydantic")
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    load = " ".join(f"{each:.2f}" for each in os.getloadavg())
    return f"Python {platform.python_version()}, {packages}; {os.cpu_count()} cores, load {load}"


def table(rounds: Rounds, floor: str) -> list[str]:
    """Medians with least and most beneath, and the share of the floor's throughput."""
    heads = " ".join(f"{head:>10}" for _, head, _ in _COLUMNS)
    lines = [f"{'':27} {heads} {'of ' + floor:>8}"]
    for name, measured in rounds.items():
        medians = " ".join(f"{median(measured, part):10.{digits}f}" for part, _, digits in _COLUMNS)
        lines.append(f"{name:27} {medians} {_share(rounds, name, floor)}")
        ends = [(spread(measured, part), digits) for part, _, digits in _COLUMNS]
        told = " ".join(f"{_ends(*each):>10}" for each in ends)
        lines.append(f"{'':27} {told}")
    return lines


def _ends(ends: tuple[float, float], digits: int) -> str:
    return f"{ends[0]:.{digits}f}-{ends[1]:.{digits}f}"


def _share(rounds: Rounds, name: str, floor: str) -> str:
    if floor not in rounds:
        return ""
    return f"{median(rounds[name], 'rate') / median(rounds[floor], 'rate'):8.2f}"


def markdown(closed: Rounds, half: Rounds, floor: str) -> list[str]:
    """The same for the README, shorter."""
    lines = [
        "| | requests/s | of the echo | CPU: server, Redis, client | half: p50, p99, p99.9, max |",
        "|---|---|---|---|---|",
    ]
    for name, measured in closed.items():
        least, most = spread(measured, "rate")
        rate = f"{median(measured, 'rate'):,.0f} ({least:,.0f}-{most:,.0f})"
        cpu = ", ".join(
            f"{median(measured, part):.0f}" for part in ("server_us", "redis_us", "client_us")
        )
        times = _times(half.get(name, ()))
        lines.append(
            f"| {name} | {rate} | {_share(closed, name, floor).strip()} | {cpu} µs | {times} |"
        )
    return lines


def _times(measured: Sequence[Round]) -> str:
    if not measured:
        return ""
    return (
        ", ".join(f"{median(measured, part):.2f}" for part in ("p50", "p99", "p999", "most"))
        + " ms"
    )


def parts_told(phases: Mapping[str, Mapping[str, float]], whole_us: float) -> list[str]:
    """What each part of the server takes, as a share and of the microseconds of a request."""
    names = sorted({name for shares in phases.values() for name in shares})
    lines = [f"{'':22}" + "".join(f"{phase:>26}" for phase in phases)]
    for name in names:
        cells = ""
        for phase, shares in phases.items():
            share = shares.get(name, 0.0)
            us = f" = {share * whole_us:5.1f} µs" if phase == next(iter(phases)) else ""
            cells += f"{share:>{26 - len(us)}.1%}{us}"
        lines.append(f"{name:22}{cells}")
    return lines
