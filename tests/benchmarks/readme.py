"""What a run has seen, in Markdown, put between the marks that stand for it in the README."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.benchmarks.contestants import ECHO, TITLES
from tests.benchmarks.report import share_of
from tests.benchmarks.rounds import Rounds, median, spread
from tests.benchmarks.shows import Measured, shows_of
from tests.processes import ROOT

README: Final = ROOT / "README.md"


def put(command: str, lines: Sequence[str], readme: Path = README) -> None:
    """Let the figures of a command be these.

    Raises:
        AssertionError: there is no place for them.
    """
    text = readme.read_text()
    begin, end = (f"<!-- figures of {command}: {mark} -->\n" for mark in ("begin", "end"))
    assert text.count(begin) == text.count(end) == 1, f"{readme} has no place for {command}"
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    readme.write_text("".join((before, begin, *(f"{line}\n" for line in lines), end, after)))


def figures_of(measured: Measured) -> list[str]:
    """The servers beside each other, and every claim."""
    lines = [*_as_much_as_can_be(measured.closed)]
    if measured.half:
        lines += ["", "At half of that, at a constant rate, in milliseconds:", ""]
        lines += _at_half(measured.half)
    lines += ["", "| claim | seen | goal | |", "|---|---|---|---|"]
    for each in shows_of(measured):
        lines.append(f"| {each.what} | {each.found} | {each.goal} | {each.verdict} |")
    return lines


def _as_much_as_can_be(closed: Rounds) -> Iterator[str]:
    yield "| | requests/s | of the echo | CPU: server, Redis, client |"
    yield "|---|---|---|---|"
    for name, measured in closed.items():
        least, most = spread(measured, "rate")
        rate = f"{median(measured, 'rate'):,.0f} ({least:,.0f}-{most:,.0f})"
        parts = ("server_us", "redis_us", "client_us")
        cpu = ", ".join(f"{median(measured, part):.0f}" for part in parts)
        yield f"| {TITLES[name]} | {rate} | {share_of(closed, name, ECHO).strip()} | {cpu} µs |"


def _at_half(half: Rounds) -> Iterator[str]:
    yield "| | requests/s | p50 | p99 | p99.9 | max | above 50 |"
    yield "|---" * 7 + "|"
    for name, measured in half.items():
        rate = f"{median(measured, 'rate'):,.0f}"
        times = " | ".join(f"{median(measured, part):.2f}" for part in ("p50", "p99", "p999"))
        most = max(each.most for each in measured)
        slow, asked = (
            sum(getattr(each, part) for each in measured) for part in ("slow", "requests")
        )
        yield f"| {TITLES[name]} | {rate} | {times} | {most:.1f} | {slow:,} of {asked:,} |"
