"""`sidecar status`: how does each part of a running server stand?"""

from collections.abc import Mapping
from typing import Any, Final

import click
from rich.table import Table
from rich.text import Text

from sidecar.cli.options import json_option, key_option, url_option
from sidecar.cli.printing import STATES, lasted, print_json, print_table, screen
from sidecar.cli.remote import Remote
from sidecar.domain.standing import State

EXIT_DOWN: Final = 2


@click.command()
@json_option("what GET /v1/status answers")
@url_option
@key_option
def status(as_json: bool, url: str, key: str | None) -> int:
    """Show how each part of a running server stands; exits 2 if one is down."""
    told = Remote(url, key).fetch("/v1/status")
    if as_json:
        print_json(told)
    else:
        _print(told)
    return EXIT_DOWN if told["status"] == State.DOWN else 0


def _print(told: dict[str, Any]) -> None:
    console = screen()
    console.print(_state(told["status"].upper(), told["status"]), f"sidecar {told['version']}")
    since = told["started_at"].partition(".")[0]
    console.print(f"up {lasted(told['uptime_s'])}, since {since}Z, Python {told['python']}")
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for name, part in told["parts"].items():
        table.add_row(name, _state(part["state"], part["state"]), _facts(part["facts"]))
        if part["note"]:
            table.add_row("", "", Text(part["note"], style=STATES[part["state"]]))
    print_table(table, console)


def _state(text: str, state: str) -> Text:
    return Text(text, style=STATES.get(state, ""))


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
