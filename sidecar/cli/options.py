"""Which flags do several commands share?"""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_URL = "http://127.0.0.1:8377"

policies_option = click.option(
    "--policies", type=click.Path(path_type=Path), help="Directory of policy files."
)
prices_option = click.option(
    "--prices", type=click.Path(path_type=Path), help="What models cost, as SIDECAR_PRICES."
)
url_option = click.option(
    "--url",
    default=DEFAULT_URL,
    show_default=True,
    help="The server that is asked: http, https, or unix:PATH.",
)
key_option = click.option("--key", help="A key to show there; else one of SIDECAR_READ_KEYS.")
json_anyway = click.option(
    "--json", is_flag=True, expose_value=False, help="It is JSON with this and without."
)


def json_option(what: str) -> Callable[[Command], Command]:
    """The flag of a command that prints for a person, else what is said here."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print {what}.")


def format_options(*forms: str, help: str) -> Callable[[Command], Command]:
    """`--format`, told as `form`, and `--json` for the one that every command knows."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def run(*arguments: Any, form: str | None, as_json: bool, **typed: Any) -> Any:
            if as_json and form not in (None, "json"):
                raise click.UsageError(f"--json is --format json: leave out --format {form}")
            return command(*arguments, form="json" if as_json else form or "text", **typed)

        run = json_option("what --format json does")(run)
        choice = click.Choice(forms)
        return click.option("--format", "form", type=choice, help=f"{help}  [default: text]")(run)  # type: ignore[return-value]  # with other arguments, and run by click alone

    return decorate
