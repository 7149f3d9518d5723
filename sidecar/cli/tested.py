"""How is a report of tests told to a person?"""

from itertools import groupby

import click
from rich.console import Console
from rich.text import Text

from sidecar.cli.explained import lines_of, print_lines
from sidecar.cli.findings import counted
from sidecar.cli.printing import screen
from sidecar.policy.testing.coverage import Coverage
from sidecar.policy.testing.rendering import differences_in_words
from sidecar.policy.testing.report import Outcome, Report, Result

_MARKS = {
    Outcome.PASSED: ("✓", "green"),
    Outcome.FAILED: ("✗", "bold red"),
    Outcome.ERROR: ("!", "bold red"),
    Outcome.SKIPPED: ("-", "yellow"),
}


def tell_results(report: Report) -> None:
    """Every case under its file, what is wrong with those that failed, and the sum."""
    console = screen()
    for file, results in groupby(report.results, key=lambda result: result.file):
        _print(console, file, "bold")
        for result in results:
            _tell(console, result)
    style = "green" if report.is_good else "bold red"
    _print(console, _sum(report), style)


def tell_coverage(coverage: Coverage) -> None:
    """Of each kind how much was seen, and what was not, with its place."""
    console = screen()
    _print(console, "coverage", "bold")
    for share in coverage.shares:
        style = "green" if share.covered == share.total else "yellow"
        line = f"  {share.percent:3} % of {share.title} ({share.covered} of {share.total})"
        _print(console, line, style)
    for gap in coverage.gaps:
        _print(console, str(gap), "")


def _tell(console: Console, result: Result) -> None:
    mark, style = _MARKS[result.outcome]
    skipped = f" (skipped: {result.skipped})" if result.skipped else ""
    _print(console, f"  {mark} {result.name}{skipped}", style)
    for line in differences_in_words(result):
        _print(console, f"      {line}", "")
    if result.decision is not None and result.explanation is not None:
        answer = f"{result.decision.effect.value} under plan {result.decision.plan or '(none)'}"
        _print(console, f"      {result.file}:{result.line}: the answer is {answer}", "dim")
        print_lines(lines_of(result.explanation.as_plain()), indent=" " * 8)
    for found in result.findings:
        for line in str(found).splitlines():
            _print(console, f"      {line}", "")


def _sum(report: Report) -> str:
    failed = sum(it.outcome is Outcome.FAILED for it in report.results)
    parts = [f"{len(report.passed):,} passed"]
    parts += [f"{failed:,} failed"] if failed else []
    errors = len(report.failures) - failed
    parts += [counted(errors, "error")] if errors else []
    parts += [f"{len(report.skipped):,} skipped"] if report.skipped else []
    warnings = sum(len(it.findings) for it in report.passed)
    parts += [counted(warnings, "warning")] if warnings else []
    return ", ".join(parts)


def _print(console: Console, text: str, style: str) -> None:
    if console.color_system is None:
        click.echo(text)
    else:
        console.print(Text(text, style=style))
