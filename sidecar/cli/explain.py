"""`sidecar explain`: why is the answer what it is?"""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from click.core import ParameterSource

from sidecar.api.explain import explained_body, refuse_unknown_counters
from sidecar.api.explain_schemas import EXPLAIN, ExplainBody
from sidecar.api.faults import InvalidBody
from sidecar.bootstrap.policies import load_policies
from sidecar.bootstrap.server import running
from sidecar.cli.answers import head, remedies_in_words
from sidecar.cli.asking import asking, body_of, misused, read_body, settings_of
from sidecar.cli.explained import print_explanation
from sidecar.cli.options import DEFAULT_URL, json_option, key_option
from sidecar.cli.printing import print_json, printable, screen
from sidecar.cli.remote import Remote
from sidecar.domain.decision import Effect
from sidecar.pdp import Explained
from sidecar.settings import Settings

_WITH_AN_ID = {"decision_id", "url", "key", "as_json"}


@click.command()
@click.argument("decision_id", required=False)
@asking
@click.option(
    "--used", multiple=True, metavar="LIMIT=N", help="Units that the user has used of a limit."
)
@click.option("--balance", type=int, help="Of the user's wallet, in millionths of the currency.")
@click.option("--now", metavar="INSTANT", help="As if it were then; counters are what --used says.")
@click.option("--trace", is_flag=True, help="Show the value of each part of each expression.")
@json_option("what POST /v1/explain answers, or GET /v1/decisions/DECISION_ID")
@click.option(
    "--url", default=DEFAULT_URL, show_default=True, help="The server that knows DECISION_ID."
)
@key_option
@click.pass_context
def explain(
    context: click.Context,
    /,
    decision_id: str | None,
    policies: Path | None,
    prices: Path | None,
    attribute: tuple[str, ...],
    plan: str | None,
    status: str,
    store: str | None,
    used: tuple[str, ...],
    balance: int | None,
    now: str | None,
    trace: bool,
    as_json: bool,
    url: str,
    key: str | None,
    **typed: object,
) -> None:
    """Show every limit and rule: whether it applied and why, its numbers, and where it stands.

    Of a decision that a running server has recorded, by its DECISION_ID; or of the request that
    the other options describe, as `sidecar check` decides it.
    """
    if decision_id is not None:
        _refuse_flags(context)
        record = Remote(url, key).fetch(f"/v1/decisions/{quote(decision_id, '')}")
        if as_json:
            print_json(record)
        else:
            _tell_recorded(record)
        return
    given: dict[str, object] = {"used": _counters(used)}
    given |= {"now": now} if now is not None else {}
    given |= {"wallet": {"balance": balance}} if balance is not None else {}
    given |= {"subscription": {"plan": plan, "status": status}} if plan is not None else {}
    asked = body_of(typed, attribute) | {"trace": trace, "given": given}
    body = read_body(context, EXPLAIN, asked)
    settings = settings_of(policies, prices, store, plan)
    explained = asyncio.run(_explain(settings, body))
    try:
        refuse_unknown_counters(body, explained.explanation)
    except InvalidBody as fault:
        raise misused(context, fault) from None
    if as_json:
        print_json(explained_body(explained))
        return
    decision = explained.decision
    console = screen()
    console.print(head(decision.effect, decision.status, decision.plan, decision.mode))
    print_explanation(explained.explanation.as_plain())
    for remedy in remedies_in_words(decision):
        console.print(remedy, markup=False)


async def _explain(settings: Settings, body: ExplainBody) -> Explained:
    async with running(settings, load_policies(settings)) as (pdp, _, clock):
        request = body.request()
        what_if = body.given.what_if(request.subject, clock.now())
        return await pdp.explain(request, what_if, trace=body.trace)


def _refuse_flags(context: click.Context) -> None:
    """A decision is told as it was made."""
    typed = [
        option.opts[0]
        for option in context.command.params
        if option.name not in _WITH_AN_ID
        and context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
    ]
    if typed:
        message = f"a recorded decision is told as it was made: leave out {', '.join(typed)}"
        raise click.UsageError(message)


def _tell_recorded(record: dict[str, Any]) -> None:
    console = screen()
    effect = Effect(record["effect"])
    console.print(head(effect, record["status"], record["plan"], record["mode"]))
    subject = record["request"]
    told = f"{record['decision_id']} of user {subject['user_id']} in app {subject['app_id']}"
    console.print(printable(f"{told}, {record['at']}"), markup=False)
    if "explanation" in record:
        print_explanation(record["explanation"])
        return
    # An allow is recorded without it, and so are refusals that came too fast.
    for reason in record["reasons"]:
        console.print(f" ! {reason['id']}  {reason['message']}", markup=False)
    for limit in record["limits"]:
        bound = "no bound" if limit["limit"] is None else f"{limit['limit']:,}"
        numbers = f"{limit['used']:,} used, {limit['requested']:,} asked of {bound}"
        console.print(f" · {limit['id']}  {numbers}", markup=False)
    console.print(f"policies {record['policy']['revision']}", style="dim")


def _counters(used: Iterable[str]) -> dict[str, int]:
    counters = {}
    for item in used:
        name, _, number = item.partition("=")
        if not name or not number.isdecimal():
            raise click.UsageError(f"--used {item!r}: write LIMIT=NUMBER")
        counters[name] = int(number)
    return counters
