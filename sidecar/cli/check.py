"""`sidecar check`: one decision, printed for a person."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.text import Text

from sidecar.api.render import decision_body
from sidecar.api.schemas import CHECK
from sidecar.bootstrap.policies import load_policies
from sidecar.bootstrap.server import running
from sidecar.cli.answers import head, remedies_in_words
from sidecar.cli.asking import asking, body_of, read_body, settings_of
from sidecar.cli.options import json_option
from sidecar.cli.printing import plain_table, print_json, print_table, screen
from sidecar.domain.decision import Decision
from sidecar.domain.request import CheckRequest
from sidecar.domain.subscription import Status, Subscription
from sidecar.settings import Settings

EXIT_DENIED = 2


@click.command()
@asking
@json_option("what POST /v1/check answers")
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
    **typed: object,
) -> None:
    """Decide one request; exits 0 for allow and warn, 2 for deny.

    Nothing is counted. Without --store the user has used nothing, and has no subscription
    but that of --plan.
    """
    request = read_body(context, CHECK, body_of(typed, attribute)).request()
    settings = settings_of(policies, prices, store, plan)
    pushed = None if plan is None else _assumed(request, plan, status)
    decision = asyncio.run(_decide(settings, request, pushed))
    if as_json:
        print_json(decision_body(decision))
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


def _assumed(request: CheckRequest, plan: str, status: str) -> Subscription:
    return Subscription(
        user_id=request.subject.user_id,
        app_id=request.subject.app_id,
        plan=plan,
        status=Status(status),
        updated_at=datetime.now(UTC),
    )


def _print(decision: Decision) -> None:
    console = screen()
    console.print(head(decision.effect, decision.status, decision.plan, decision.mode))
    for reason in decision.reasons:
        mark = "✗" if reason.refuses else "!"
        console.print(f"  {mark} {reason.code.value}  {reason.id}: {reason.message}", markup=False)
    for remedy in remedies_in_words(decision):
        console.print(f"  {remedy}", markup=False)
    for error in decision.errors:
        console.print(f"  ? {error.id}: {error.message}", markup=False)
    if decision.readings:
        numbers = ("used", "reserved", "asked", "maximum", "granted", "resets")
        table = plain_table("limit", "window", *numbers, right=numbers)
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
        print_table(table, console)
    console.print(Text(f"policies {decision.revision}", style="dim"))
