"""`sidecar check`: one decision, printed for a person."""

import asyncio
import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from pydantic import ValidationError
from pydantic_core import to_json
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sidecar.api.endpoint import fault_of
from sidecar.api.problem import InvalidBody
from sidecar.api.render import decision_body
from sidecar.api.schemas import CHECK
from sidecar.bootstrap import is_missing, load_policies, look_at_store, running
from sidecar.domain.decision import Decision, Effect, Remedy, RemedyKind
from sidecar.domain.request import CheckRequest
from sidecar.domain.subscription import Status, Subscription
from sidecar.logs import configure_logging
from sidecar.settings import Settings, read_settings

EXIT_DENIED = 2
_STYLES = {Effect.ALLOW: "bold green", Effect.WARN: "bold yellow", Effect.DENY: "bold red"}


@click.command()
@click.option("--policies", type=click.Path(path_type=Path), help="Directory of policy files.")
@click.option(
    "--prices", type=click.Path(path_type=Path), help="What models cost, as SIDECAR_PRICES."
)
@click.option("--app", "app_id", required=True, help="The app.")
@click.option("--user", "user_id", required=True, help="The user.")
@click.option("--tenant", "tenant_id", help="The tenant.")
@click.option("--plugin", help="The plugin that is asked for.")
@click.option("--feature", help="The feature that is asked for.")
@click.option("--model", help="The model that is asked for.")
@click.option("--workflow", help="The workflow.")
@click.option("--agent", help="The agent.")
@click.option("--tokens", "estimated_tokens", type=int, help="Tokens that it may use.")
@click.option("--attribute", multiple=True, metavar="NAME=JSON", help="A request attribute.")
@click.option("--plan", help="Decide as if the user had this plan.")
@click.option(
    "--status",
    type=click.Choice([status.value for status in Status if status is not Status.NONE]),
    default="active",
    show_default=True,
    help="The subscription's status, with --plan.",
)
@click.option("--store", help="Take subscription and usage from this store.")
@click.option("--json", "as_json", is_flag=True, help="Print what POST /v1/check answers.")
@click.pass_context
def check(
    context: click.Context,
    /,
    policies: Path | None,
    prices: Path | None,
    attribute: tuple[str, ...],
    plan: str | None,
    status: str,
    store: str | None,
    as_json: bool,
    **asked: object,
) -> None:
    """Decide one request; exits 0 for allow and warn, 2 for deny.

    Nothing is counted. Without --store the user has used nothing, and has no subscription
    but that of --plan.
    """
    configure_logging("console")
    # A store that does not answer is told below, once and without a time of day.
    logging.getLogger("sidecar.redis").setLevel(logging.ERROR)
    if plan is not None and store is not None:
        raise click.UsageError("the store knows the plan: give --plan or --store, not both")
    if store is not None and is_missing(store):
        raise click.UsageError(f"--store {store}: there is no such file")
    request = _request(context, asked, attribute)
    settings = read_settings(
        sidecar_policies=policies, sidecar_prices=prices, sidecar_store=store or "sqlite://"
    )
    pushed = None if plan is None else _assumed(request, plan, status)
    fault = None if store is None else asyncio.run(look_at_store(settings)).fault
    if fault is not None:
        click.echo(f"--store: {fault}", err=True)
    decision = asyncio.run(_decide(settings, request, pushed))
    if as_json:
        click.echo(to_json(decision_body(decision), indent=2))
    else:
        _print(decision)
    context.exit(EXIT_DENIED if decision.is_denied else 0)


async def _decide(
    settings: Settings, request: CheckRequest, pushed: Subscription | None
) -> Decision:
    async with running(settings, load_policies(settings)) as (pdp, subscriptions, clock):
        if pushed is not None:
            await subscriptions.sync(pushed, since=clock.monotonic())
        return await pdp.check(request)


def _request(
    context: click.Context, asked: dict[str, object], attribute: tuple[str, ...]
) -> CheckRequest:
    body = {name: value for name, value in asked.items() if value is not None}
    try:
        return CHECK.validate_python(body | {"attributes": _attributes(attribute)}).request()
    except ValidationError as error:
        flags = {str(option.name): option.opts[0] for option in context.command.params}
        flags["attributes"] = flags["attribute"]
        fault = fault_of(error)
        assert isinstance(fault, InvalidBody)  # it never was JSON
        told = [f"{flags.get(each.field, each.field)}: {each.message}" for each in fault.faults]
        raise click.UsageError("; ".join(told)) from None


def _attributes(given: tuple[str, ...]) -> dict[str, object]:
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


def _assumed(request: CheckRequest, plan: str, status: str) -> Subscription:
    return Subscription(
        user_id=request.subject.user_id,
        app_id=request.subject.app_id,
        plan=plan,
        status=Status(status),
        updated_at=datetime.now(UTC),
    )


def _print(decision: Decision) -> None:
    # Nothing is cut off where nobody looks at a screen.
    width = None if sys.stdout.isatty() else 200
    console = Console(highlight=False, soft_wrap=True, width=width)
    head = Text.assemble(
        (decision.effect.value.upper(), _STYLES[decision.effect]),
        f"  {decision.status}  plan {decision.plan or '(none)'}, mode {decision.mode.value}",
    )
    console.print(head)
    for reason in decision.reasons:
        mark = "✗" if reason.refuses else "!"
        console.print(f"  {mark} {reason.code.value}  {reason.id}: {reason.message}", markup=False)
    for remedy in decision.remedies:
        console.print(f"  → {_remedy(remedy)}", markup=False)
    for error in decision.errors:
        console.print(f"  ? {error.id}: {error.message}", markup=False)
    if decision.readings:
        table = Table(box=None, padding=(0, 2), header_style="dim")
        columns = ("limit", "window", "used", "reserved", "asked", "maximum", "granted", "resets")
        for column in columns:
            table.add_column(column, justify="left" if column in ("limit", "window") else "right")
        for reading in decision.readings:
            limit = reading.limit
            table.add_row(
                limit.id,
                str(limit.window),
                f"{reading.used:,}",
                f"{reading.reserved:,}",
                f"{reading.requested:,}",
                "unlimited" if limit.maximum is None else f"{limit.maximum:,}",
                f"{reading.granted:,}",
                "" if reading.resets_at is None else f"{reading.resets_at:%Y-%m-%d %H:%M:%SZ}",
            )
        console.print(table)
    console.print(Text(f"policies {decision.revision}", style="dim"))


def _remedy(remedy: Remedy) -> str:
    match remedy.kind:
        case RemedyKind.UPGRADE:
            return f"upgrade to {remedy.plan}" + (f": {remedy.url}" if remedy.url else "")
        case RemedyKind.TOP_UP:
            return f"top up {remedy.limit}" + (f": {remedy.url}" if remedy.url else "")
        case RemedyKind.WAIT:
            return f"wait until {remedy.until:%Y-%m-%d %H:%M:%SZ}"
