"""`sidecar usage`: what did an app or a user use, and how much is left?"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text

from sidecar.cli import completing
from sidecar.cli.glance import share_of
from sidecar.cli.options import json_option, key_option, url_option
from sidecar.cli.printing import bar, plain_table, print_json, print_table, printable, screen
from sidecar.cli.remote import Remote

_NUMBERS: Final = ("input_tokens", "output_tokens", "total_tokens", "requests")
_BAR: Final = 20
_NEAR: Final = 0.8
_BY_THE_HOUR: Final = timedelta(days=2)
_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1)}


@click.command()
@click.option("--app", required=True, help="The app.")
@click.option("--user", help="Of this user alone, with the limits.")
@click.option("--last", metavar="N[h|d]", help="So many hours or days.  [default: 24h]")
@click.option("--from", "begin", metavar="INSTANT", help="From then on; without a zone it is UTC.")
@click.option("--to", "end", metavar="INSTANT", help="Until then.  [default: now]")
@click.option(
    "--granularity", type=click.Choice(["hour", "day"]),
    help="A row for each.  [default: hour, day for more than two days]",
)  # fmt: skip
@click.option(
    "--by", metavar="NAME,...", help="A row for each model, workflow, agent, plugin.",
    shell_complete=completing.groups,
)  # fmt: skip
@json_option("what GET /v1/usage answers, and GET /v1/entitlements of a user")
@url_option
@key_option
def usage(
    app: str,
    user: str | None,
    last: str | None,
    begin: str | None,
    end: str | None,
    granularity: str | None,
    by: str | None,
    as_json: bool,
    url: str,
    key: str | None,
) -> None:
    """Show what an app or a user used, hour by hour or day by day, and what is left.

    A running server is asked.
    """
    remote = Remote(url, key)
    until = _instant("--to", end) or datetime.now(UTC)
    if last is not None and begin is not None:
        raise click.UsageError("--last and --from both say when it begins: give one")
    since = _instant("--from", begin) or until - _lasting(last or "24h")
    if granularity is None:
        granularity = "hour" if until - since <= _BY_THE_HOUR else "day"
    asked = {"app_id": app, "user_id": user}
    when = {"from": since.isoformat(), "to": until.isoformat(), "granularity": granularity}
    told = remote.fetch("/v1/usage", {**asked, **when, "group_by": by})
    owned = None if user is None else remote.fetch("/v1/entitlements", asked)
    if as_json:
        print_json(told if owned is None else {**told, "entitlements": owned})
        return
    console = screen()
    _print_used(told, owned, console)
    if owned is not None:
        _print_limits(owned, console)


def _instant(flag: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        message = f"{flag} {text!r}: write 2026-11-01 or 2026-11-01T12:00:00Z"
        raise click.UsageError(message) from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _lasting(text: str) -> timedelta:
    number, unit = text[:-1], text[-1:]
    if not number.isdecimal() or unit not in _UNITS or not 0 < int(number) <= 24 * 90:
        raise click.UsageError(f"--last {text!r}: write hours or days, as in 24h or 7d")
    return int(number) * _UNITS[unit]


def _print_used(told: Mapping[str, Any], owned: Mapping[str, Any] | None, console: Console) -> None:
    who = f"app {told['app_id']}"
    if owned is not None:
        status = owned["subscription"]["status"] if owned["subscription"] else "none"
        who += f", user {told['user_id']}: plan {owned['plan'] or '(none)'}, subscription {status}"
    console.print(Text(printable(who), style="bold"))
    console.print(Text(f"{_short(told['from'])} to {_short(told['to'])}, UTC, whole hours\n"))
    groups, currency = told["group_by"], told.get("currency")
    numbers = [name.replace("_", " ") for name in _NUMBERS]
    numbers += [f"estimated {currency}"] if currency else []
    table = plain_table(told["granularity"], *groups, *numbers, right=tuple(numbers))
    for row in told["series"]:
        named = (Text(printable(row[name]) or "-") for name in groups)
        table.add_row(_short(row["start"]), *named, *_cells(row, currency))
    total = ("" for _ in groups)
    table.add_row("total", *total, *_cells(told["totals"], currency), style="bold")
    print_table(table, console)


def _cells(used: Mapping[str, Any], currency: str | None) -> list[str]:
    cells = [f"{used[name]:,}" for name in _NUMBERS]
    if currency:
        cost = used["estimated_cost"]
        cells.append("-" if cost is None else f"{cost / 1_000_000:,.6f}")
    return cells


def _print_limits(owned: Mapping[str, Any], console: Console) -> None:
    columns = ("limit", "window", "", "used", "held", "of", "left", "resets")
    table = plain_table(*columns, right=("used", "held", "of", "left"))
    for limit in owned["limits"]:
        share = share_of(limit)
        style = "red" if share >= 1 else "yellow" if share >= _NEAR else "green"
        bound = limit["limit"]
        table.add_row(
            Text(limit["id"]),
            limit["window"],
            "" if bound is None else Text(bar(share, _BAR, drawn=console.is_terminal), style),
            f"{limit['used']:,}",
            f"{limit['reserved']:,}",
            "no bound" if bound is None else f"{bound + limit['granted']:,}",
            "" if bound is None else f"{limit['remaining']:,}",
            "" if limit["resets_at"] is None else _short(limit["resets_at"]),
        )
    if owned["limits"]:
        console.print()
        print_table(table, console)


def _short(instant: str) -> str:
    """`2026-11-01 12:00`."""
    return instant[:16].replace("T", " ")
