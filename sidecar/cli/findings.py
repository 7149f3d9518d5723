"""How is what was found in files told to a person or a program, and which exit code says it?"""

from collections.abc import Iterable, Sequence

import click
from rich.text import Text

from sidecar.cli.options import format_options
from sidecar.cli.printing import print_json, screen
from sidecar.policy.diagnostics import MOST_FINDINGS, Diagnostic, Part, Severity
from sidecar.policy.reports import as_annotations, as_json, as_sarif

EXIT_INVALID = 3
EXIT_WARNINGS = 5
_STYLES = {
    Part.PLACE: "bold",
    Part.ERROR: "bold red",
    Part.WARNING: "bold yellow",
    Part.MESSAGE: "bold",
    Part.HINT: "cyan",
    Part.LINE: "",
    Part.ASIDE: "dim",
}

format_option = format_options(
    "text", "json", "sarif", "github",
    help="For a person, a program, a code scanner or a pull request.",
)  # fmt: skip


def tell(findings: Sequence[Diagnostic], form: str, *, otherwise: str) -> None:
    """Print findings in order of place; for a person the first ones, and how many there are.

    Args:
        otherwise: what a person is told where nothing was found.
    """
    match form:
        case "json":
            print_json([as_json(found) for found in findings])
        case "sarif":
            print_json(as_sarif(findings))
        case "github":
            for line in as_annotations(findings):
                click.echo(line)
        case _:
            _tell_a_person(findings[:MOST_FINDINGS])
            click.echo(_counted(findings) if findings else otherwise, err=bool(findings))


def exit_code(findings: Iterable[Diagnostic], *, strict: bool) -> int:
    """3 for a mistake, 5 for what is only suspicious if that was asked for, else 0."""
    severities = {found.severity for found in findings}
    if Severity.ERROR in severities:
        return EXIT_INVALID
    return EXIT_WARNINGS if strict and severities else 0


def counted(number: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _tell_a_person(findings: Iterable[Diagnostic]) -> None:
    console = screen()
    for found in findings:
        if console.color_system is None:
            click.echo(str(found))
        else:
            pieces = [(text, _STYLES[part]) for part, text in found.parts()]
            console.print(Text.assemble(*pieces))


def _counted(findings: Sequence[Diagnostic]) -> str:
    mistakes = sum(found.severity is Severity.ERROR for found in findings)
    warnings = len(findings) - mistakes
    told = [counted(mistakes, "mistake")] if mistakes else []
    told += [counted(warnings, "warning")] if warnings else []
    untold = len(findings) - MOST_FINDINGS
    return " and ".join(told) + (f", {untold:,} of them not shown" if untold > 0 else "")
