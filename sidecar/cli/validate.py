"""`sidecar validate`: do policies or prices load, and if not, where are they wrong?"""

import json
from pathlib import Path

import click

from sidecar.bootstrap import prices_named_by
from sidecar.domain.modes import Ceiling
from sidecar.errors import ConfigurationError
from sidecar.policy.diagnostics import Diagnostic, InvalidFiles
from sidecar.policy.files import content_of, source_of
from sidecar.policy.load import load, policy_files
from sidecar.policy.price_file import is_price_file, load_prices
from sidecar.settings import read_settings


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.option(
    "--prices", type=click.Path(path_type=Path), help="What models cost, as SIDECAR_PRICES."
)
@click.pass_context
def validate(context: click.Context, path: Path, form: str, prices: Path | None) -> None:
    """Load the policies in PATH and show every mistake with its place; exits 3 if there is one.

    PATH may be a price file too.
    """
    findings: tuple[Diagnostic, ...] = ()
    untold = 0
    summary = ""
    if not path.exists():
        raise ConfigurationError(f"{path}: there is no such file or directory")
    try:
        summary = _prices(path) if _is_price_file(path) else _policies(path, prices)
    except InvalidFiles as error:
        findings, untold = error.diagnostics, error.untold
    if form == "json":
        click.echo(json.dumps([_as_json(found) for found in findings], indent=2))
    else:
        for found in findings:
            click.echo(str(found))
        mistakes = _counted(len(findings), "mistake")
        mistakes += f" and {untold:,} more" if untold else ""
        click.echo(mistakes if findings else summary, err=bool(findings))
    if findings:
        context.exit(3)


def _is_price_file(path: Path) -> bool:
    if not path.is_file():
        return False
    source = source_of(path, content_of(path))
    return not isinstance(source, Diagnostic) and is_price_file(source)


def _prices(path: Path) -> str:
    prices = load_prices(path)
    return f"{path}: {_counted(prices.count, 'price')} in {prices.currency}"


def _policies(path: Path, prices: Path | None) -> str:
    settings = read_settings(sidecar_prices=prices)
    policies = load(path, ceiling=Ceiling.AS_WRITTEN, prices=prices_named_by(settings))
    files = _counted(len(policy_files(path)), "file")
    return f"{path}: {files}, {_counted(len(policies.plans), 'plan')}, {policies.revision}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _as_json(found: Diagnostic) -> dict[str, object]:
    return {
        "code": found.code,
        "severity": found.severity.value,
        "file": found.file,
        "line": found.line,
        "column": found.column,
        "length": found.length,
        "path": found.path,
        "message": found.message,
        "hint": found.hint,
    }
