"""How does a person type one question? The flags that `check` and `explain` share."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import click
from pydantic import TypeAdapter, ValidationError

from sidecar.api.faults import FieldFault, InvalidBody, fault_of
from sidecar.bootstrap.stores import is_missing, look_at_store
from sidecar.cli import completing
from sidecar.cli.options import policies_option, prices_option
from sidecar.domain.subscription import Status
from sidecar.logs import configure_logging
from sidecar.settings import Settings, read_settings

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., object])

_OPTIONS = (
    policies_option,
    prices_option,
    click.option("--app", "app_id", help="The app."),
    click.option("--user", "user_id", help="The user."),
    click.option("--tenant", "tenant_id", help="The tenant."),
    click.option("--plugin", help="The plugin that is asked for."),
    click.option("--feature", help="The feature that is asked for."),
    click.option("--model", help="The model that is asked for."),
    click.option("--workflow", help="The workflow."),
    click.option("--agent", help="The agent."),
    click.option("--tokens", "estimated_tokens", type=int, help="Tokens that it may use."),
    click.option("--attribute", multiple=True, metavar="NAME=JSON", help="A request attribute."),
    click.option(
        "--plan", help="Decide as if the user had this plan.", shell_complete=completing.plans
    ),
    click.option(
        "--status",
        type=click.Choice([status.value for status in Status if status is not Status.NONE]),
        default="active",
        show_default=True,
        help="The subscription's status, with --plan.",
    ),
    click.option("--store", help="Take subscription and usage from this store."),
)
_QUESTION = (
    "app_id", "user_id", "tenant_id", "plugin", "feature", "model", "workflow", "agent",
    "estimated_tokens",
)  # fmt: skip


def asking(command: Command) -> Command:
    """A command with the flags of one question."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def body_of(typed: Mapping[str, object], attributes: Iterable[str]) -> dict[str, object]:
    """What was typed as the body of a check."""
    body = {name: typed[name] for name in _QUESTION if typed[name] is not None}
    return body | {"attributes": _attributes(attributes)}


def read_body(context: click.Context, schema: TypeAdapter[T], body: object) -> T:
    """A body as a value of its schema.

    Raises:
        click.UsageError: it is none; fields are called as they were typed.
    """
    try:
        return schema.validate_python(body)
    except ValidationError as error:
        fault = fault_of(error)
        assert isinstance(fault, InvalidBody)  # it never was JSON
        raise misused(context, fault) from None


def misused(context: click.Context, fault: InvalidBody) -> click.UsageError:
    """A fault of a body as a person typed it."""
    flags = {str(option.name): option.opts[0] for option in context.command.params}
    return click.UsageError("; ".join(_told(flags, each) for each in fault.faults))


def _told(flags: Mapping[str, str], fault: FieldFault) -> str:
    first, _, rest = fault.field.partition(".")
    if first == "given":
        first, _, rest = rest.partition(".")
        return f"{flags.get(first, first)}{rest and f' {rest}'}: {fault.message}"
    name = "attribute" if first == "attributes" else first
    return f"{flags.get(name, fault.field)}: {fault.message}"


def settings_of(
    policies: Path | None, prices: Path | None, store: str | None, plan: str | None
) -> Settings:
    """The settings of a command that decides; that a store does not answer is told at once.

    Raises:
        click.UsageError: the flags contradict each other, or the store is not there.
    """
    configure_logging("console")
    # A store that does not answer is told below, once and without a time of day.
    logging.getLogger("sidecar.redis").setLevel(logging.ERROR)
    if plan is not None and store is not None:
        raise click.UsageError("the store knows the plan: give --plan or --store, not both")
    if store is not None and is_missing(store):
        raise click.UsageError(f"--store {store}: there is no such file")
    settings = read_settings(
        sidecar_policies=policies, sidecar_prices=prices, sidecar_store=store or "sqlite://"
    )
    fault = None if store is None else asyncio.run(look_at_store(settings)).fault
    if fault is not None:
        click.echo(f"--store: {fault}", err=True)
    return settings


def _attributes(given: Iterable[str]) -> dict[str, object]:
    attributes: dict[str, object] = {}
    for item in given:
        name, separator, text = item.partition("=")
        if not separator or not name:
            raise click.UsageError(f"--attribute {item!r}: write NAME=VALUE")
        try:
            attributes[name] = json.loads(text)
        except RecursionError:
            raise click.UsageError(f"--attribute {name}: nested too deep") from None
        except ValueError:
            attributes[name] = text
    return attributes
