"""`sidecar status`: how does each part of a running server stand?"""

import json
from collections.abc import Mapping
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sidecar.cli.outcome import print_table
from sidecar.cli.remote import DEFAULT_URL, fetch, key_or_set
from sidecar.domain.standing import State

EXIT_DOWN: Final = 2
_STYLES: Final[Mapping[str, str]] = {
    State.OK: "green",
    State.OFF: "dim",
    State.DEGRADED: "bold yellow",
    State.DOWN: "bold red",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print what GET /v1/status answers.")
@click.option("--url", default=DEFAULT_URL, show_default=True, help="The server that is asked.")
@click.option("--key", help="A key to show there; else one of SIDECAR_READ_KEYS.")
def status(as_json: bool, url: str, key: str | None) -> int:
    """Show how each part of a running server stands; exits 2 if one is down."""
    told: dict[str, Any] = fetch(url, "/v1/status", key_or_set(key))
    if as_json:
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        _print(told)
    return EXIT_DOWN if told["status"] == State.DOWN else 0


def _print(told: dict[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(_state(told["status"].upper(), told["status"]), f"sidecar {told['version']}")
    since = told["started_at"].partition(".")[0]
    console.print(f"up {_lasted(told['uptime_s'])}, since {since}Z, Python {told['python']}")
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for name, part in told["parts"].items():
        table.add_row(name, _state(part["state"], part["state"]), _facts(part["facts"]))
        if part["note"]:
            table.add_row("", "", Text(part["note"], style=_STYLES[part["state"]]))
    # Piped into another program, a line is a part, however long.
    print_table(table, console if console.is_terminal else Console(width=10_000))


def _state(text: str, state: str) -> Text:
    return Text(text, style=_STYLES.get(state, ""))


def _facts(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_told(value)}" for name, value in facts.items())


def _told(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case dict():
            return f"({_facts(value)})"
        case _:
            return str(value)


def _lasted(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (rest, "s"))
    shown = [f"{number}{unit}" for number, unit in parts if number]
    return " ".join(shown[:2]) or "0s"
