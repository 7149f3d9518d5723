"""`sidecar decisions`: what stands in the files of a decision log, and is it what was written?"""

from pathlib import Path
from typing import Any

import click

from sidecar.adapters.decisions.finding import Wanted, find, latest
from sidecar.adapters.decisions.verifying import Verified, verify
from sidecar.cli.options import json_anyway, json_option
from sidecar.cli.printing import print_json, printable
from sidecar.errors import ConfigurationError

EXIT_BROKEN = 3

_path = click.argument("path", type=click.Path(path_type=Path, exists=True))


@click.group()
def decisions() -> None:
    """Look into the files of a decision log."""


@decisions.command("verify")
@_path
@json_option("what is known of each series of files")
@click.pass_context
def verify_(context: click.Context, path: Path, as_json: bool) -> None:
    """Tell whether the files in PATH, or one of them, are as they were written.

    Needs SIDECAR_DECISION_LOG_CHAIN; exits 3 where a line was changed, left out or put in. The
    hash that it prints of the last line, kept elsewhere, tells of files that were written anew.
    """
    try:
        found = verify(path)
    except OSError as error:
        raise ConfigurationError(f"{error.filename or path}: {error.strerror}") from error
    if not found:
        raise ConfigurationError(f"{path}: there is no decision log here")
    if as_json:
        print_json({"series": [_as_plain(each) for each in found]})
    else:
        for each in found:
            _tell(each)
    if any(each.broken for each in found):
        context.exit(EXIT_BROKEN)


def _tell(found: Verified) -> None:
    count = f"{len(found.files)} file{'s' if len(found.files) > 1 else ''}, {found.lines:,} lines"
    if found.broken is not None:
        broken = found.broken
        place = f"{broken.file}:{broken.line}" if broken.line else str(broken.file)
        click.echo(f"{place}: {broken.why}")
        click.echo(f"{found.name}: BROKEN after {found.lines:,} lines")
    elif not found.is_chained:
        click.echo(f"{found.name}: {count}, not chained: nothing can be said of them")
    else:
        click.echo(f"{found.name}: {count}, whole; last sha256:{found.last}")
    if found.torn is not None:
        click.echo(f"  {found.torn}: the last line is torn: its process was killed in the middle")
    for note in found.notes:
        click.echo(f"  {note}")


@decisions.command("list")
@_path
@click.option("--app", default="", help="Of this app alone.")
@click.option("--user", default="", help="Of this user alone.")
@click.option("--effect", default="", type=click.Choice(["", "allow", "warn", "deny"]))
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1_000))
@json_option("whole lines, as they were written")
def list_(path: Path, app: str, user: str, effect: str, limit: int, as_json: bool) -> None:
    """Show the latest decisions in the directory PATH, the last one first."""
    found = latest(path, Wanted(app, user, effect), limit)
    newest = sorted(found, key=lambda each: str(each["at"]), reverse=True)[:limit]
    if as_json:
        print_json({"decisions": newest})
        return
    for decision in newest:
        click.echo(printable(_in_short(decision)))


def _as_plain(found: Verified) -> dict[str, object]:
    broken = found.broken
    return {
        "name": found.name,
        "files": found.files,
        "lines": found.lines,
        "chained": found.is_chained,
        "last": f"sha256:{found.last}" if found.last else None,
        "broken": broken and {"file": broken.file, "line": broken.line, "why": broken.why},
        "torn": found.torn,
        "notes": found.notes,
    }


def _in_short(decision: dict[str, Any]) -> str:
    request = decision["request"]
    why = " ".join(str(each.get("id", "")) for each in decision.get("reasons", []))
    who = f"{request['app_id']}/{request['user_id']}"
    words = (decision["at"], f"{decision['effect']:5}", who, decision["decision_id"], why)
    return "  ".join(words).rstrip()


@decisions.command("show")
@_path
@click.argument("decision_id")
@json_anyway
@click.pass_context
def show(context: click.Context, path: Path, decision_id: str) -> None:
    """Show one decision in the directory PATH, with all that it was made from."""
    found = find(path, decision_id)
    if found is None:
        click.echo(f"{decision_id} is in none of these files", err=True)
        context.exit(EXIT_BROKEN)
    print_json(found)
