"""`sidecar top`: what goes on at a running server, right now?"""

import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any, Final

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sidecar.cli.glance import glance, look
from sidecar.cli.options import json_option, key_option, url_option
from sidecar.cli.printing import (
    STATES,
    bar,
    lasted,
    plain_table,
    print_json,
    print_table,
    printable,
    screen,
)
from sidecar.cli.remote import Remote
from sidecar.errors import ConfigurationError

_BAR: Final = 10
_EFFECTS: Final[Mapping[str, str]] = {"warn": "yellow", "deny": "red"}


@click.command()
@url_option
@key_option
@click.option("--app", "apps", multiple=True, help="Show what this app uses; several times.")
@click.option(
    "--interval", type=click.FloatRange(0.1, 3600), default=2.0, show_default=True,
    help="Seconds between two looks.",
)  # fmt: skip
@click.option("--once", is_flag=True, help="Look twice, print it and end; as always into a pipe.")
@json_option("one look as JSON")
def top(
    url: str, key: str | None, apps: tuple[str, ...], interval: float, once: bool, as_json: bool
) -> None:
    """Show what goes on at a running server: rates, latencies, and who is near a limit.

    On a terminal it goes on until Ctrl-C.
    """
    looks = _glances(Remote(url, key), apps, interval)
    if as_json:
        print_json(next(looks))
        return
    console = screen()
    if once or not sys.stdout.isatty():
        _print(next(looks), console)
        return
    with _ending(), Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            try:
                for told in looks:
                    live.update(Group(*_shown(told, drawn=True)), refresh=True)
            except ConfigurationError as error:
                live.update(Text(f"{error}\n\nAsked again each {interval:g} s."), refresh=True)
                time.sleep(interval)
                looks = _glances(Remote(url, key), apps, interval)


def _glances(remote: Remote, apps: tuple[str, ...], interval: float) -> Iterator[dict[str, Any]]:
    """One after the other, each an interval after the one before."""
    before = look(remote, apps)
    for _ in count():
        time.sleep(interval)
        after = look(remote, apps)
        yield glance(remote.url, before, after)
        before = after


@contextmanager
def _ending() -> Iterator[None]:
    """Ctrl-C is how this ends, and whoever ends it otherwise gets the screen back too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    except KeyboardInterrupt:
        return


def _print(told: Mapping[str, Any], console: Console) -> None:
    for part in _shown(told, drawn=console.is_terminal):
        if isinstance(part, Table):
            print_table(part, console)
        else:
            console.print(part)


def _shown(told: Mapping[str, Any], *, drawn: bool) -> Iterator[Text | Table]:
    state = told["status"]
    yield Text.assemble(
        (state.upper(), STATES[state]),
        f" sidecar {told['version']} at {told['url']}, up {lasted(told['uptime_s'])}",
    )
    workers = told["workers"]
    of = f"{workers} worker{'s' * (workers != 1)}"
    yield Text(f"{of}, the last {told['interval_s']:g} s to {told['at'].partition('.')[0]}Z\n")
    yield _rates(told["per_second"])
    yield Text()
    yield _times(told["seconds"])
    for name, part in told["parts"].items():
        if name == "store" or part["state"] in ("degraded", "down"):
            yield Text.assemble(f"\n{name} ", (part["state"], STATES[part["state"]]), _note(part))
    if told["apps"]:
        yield Text()
        yield _apps(told["apps"])
    if told["limits"]:
        yield Text()
        yield _limits(told["limits"])
    if told["subjects"]:
        yield Text()
        yield _subjects(told["subjects"], drawn=drawn)


def _note(part: Mapping[str, Any]) -> str:
    return f": {printable(part['note'])}" if part["note"] else ""


def _rates(rates: Mapping[str, float]) -> Table:
    names = tuple(name.replace("_", " ") for name in rates)
    table = plain_table("a second", *names, right=names)
    table.add_row("", *(f"{rate:,.1f}" for rate in rates.values()))
    return table


def _times(times: Mapping[str, Mapping[str, float | None]]) -> Table:
    table = plain_table("milliseconds", "p50", "p99", right=("p50", "p99"))
    for name, shares in times.items():
        shown = ("-" if it is None else f"{it * 1000:,.2f}" for it in shares.values())
        table.add_row(name, *shown)
    return table


def _apps(apps: list[Mapping[str, Any]]) -> Table:
    numbers = ("input_tokens", "output_tokens", "total_tokens", "requests")
    table = plain_table("app, since", *numbers, right=numbers)
    for app in apps:
        since = f"{printable(app['app_id'])}, {app['from']}"
        table.add_row(since, *(f"{app[name]:,}" for name in numbers))
    return table


def _limits(limits: list[Mapping[str, Any]]) -> Table:
    numbers = ("near", "over", "near_new", "over_new")
    table = plain_table("limit", "near", "over", "near now", "over now",
                        right=("near", "over", "near now", "over now"))  # fmt: skip
    for limit in limits:
        style = "red" if limit["over_new"] else "yellow" if limit["near_new"] else ""
        table.add_row(Text(limit["id"], style), *(f"{limit[name]:,}" for name in numbers))
    return table


def _subjects(subjects: list[Mapping[str, Any]], *, drawn: bool) -> Table:
    table = plain_table("app", "user", "latest", "at", "limit", "", "used", right=("used",))
    for subject in subjects:
        share = subject["share"]
        style = _EFFECTS.get(subject["effect"], "")
        table.add_row(
            Text(printable(subject["app_id"])),
            Text(printable(subject["user_id"])),
            Text(subject["effect"], style),
            subject["at"].partition(".")[0] + "Z",
            Text(subject["limit"] or ", ".join(subject["reasons"])),
            "" if share is None else Text(bar(share, _BAR, drawn=drawn), style),
            "" if share is None else f"{share:.0%}",
        )
    return table
