"""`sidecar outbox`: what waits for the control plane, and what becomes of what it refused?"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import click

from sidecar.api.render import outbox_body
from sidecar.bootstrap.stores import is_in_memory, is_missing, store_of
from sidecar.cli.options import json_option
from sidecar.cli.printing import print_json, printable, screen
from sidecar.domain.event_log import AppLine, Backlog, SetAside, whereabouts
from sidecar.errors import ConfigurationError, UnknownEntry
from sidecar.ports import Outbox
from sidecar.settings import read_settings

_MOST = 1_000_000

_store = click.option("--store", help="Where events wait, as SIDECAR_STORE.")
_every = click.option("--all", "every", is_flag=True, help="All that were refused.")


@click.group()
def outbox() -> None:
    """Show events that wait for the control plane; try them again or drop them."""


@outbox.command("list")
@_store
@click.option("--limit", type=click.IntRange(1, _MOST), default=50, show_default=True)
@json_option("what GET /v1/outbox answers")
def list_(store: str | None, limit: int, as_json: bool) -> None:
    """Show how much waits, app by app, and each event that was refused."""

    async def look(found: Outbox) -> None:
        backlog = await found.backlog(since=time.monotonic())
        lines = await found.lines(limit, since=time.monotonic())
        refused = await found.set_aside(limit, since=time.monotonic())
        now = datetime.now(UTC)
        if as_json:
            print_json(outbox_body(backlog, lines, refused, now))
        else:
            _print(backlog, lines, refused, now)

    _with_outbox(store, look)


@outbox.command()
@click.argument("ids", nargs=-1)
@_every
@_store
@json_option("how many")
def retry(ids: tuple[str, ...], every: bool, store: str | None, as_json: bool) -> None:
    """Try events again that were refused, or the first that waits in an app, at once."""

    async def again(found: Outbox) -> None:
        chosen = list(ids)
        if every:
            chosen += await _refused(found)
            lines = await found.lines(_MOST, since=time.monotonic())
            chosen += [line.first for line in lines if line.first is not None]
        await _each(dict.fromkeys(chosen), found.retry)
        _tell(len(set(chosen)), "retried", "will be tried again", as_json=as_json)

    _demand(ids, every=every)
    _with_outbox(store, again)


@outbox.command()
@click.argument("ids", nargs=-1)
@_every
@_store
@json_option("how many")
def drop(ids: tuple[str, ...], every: bool, store: str | None, as_json: bool) -> None:
    """Never deliver events that were refused, or the first that waits in an app."""

    async def forget(found: Outbox) -> None:
        chosen = [*ids, *(await _refused(found) if every else ())]
        await _each(dict.fromkeys(chosen), found.drop)
        _tell(len(set(chosen)), "dropped", "will not be delivered", as_json=as_json)

    _demand(ids, every=every)
    _with_outbox(store, forget)


def _with_outbox(url: str | None, work: Callable[[Outbox], Awaitable[None]]) -> None:
    settings = read_settings(sidecar_store=url)
    if is_in_memory(settings.sidecar_store):
        raise ConfigurationError(
            f"{settings.sidecar_store}: stands in the memory of the server; ask it, at /v1/outbox"
        )
    if is_missing(settings.sidecar_store):
        raise ConfigurationError(f"{settings.sidecar_store}: there is no such store")

    async def run() -> None:
        # Nobody waits for this with a chat.
        store = store_of(settings.model_copy(update={"sidecar_store_timeout_ms": 10_000}))
        async with store.opened():
            await work(store.outbox)

    asyncio.run(run())


async def _refused(found: Outbox) -> list[str]:
    return [each.event.id for each in await found.set_aside(_MOST, since=time.monotonic())]


async def _each(ids: dict[str, None], change: Callable[..., Awaitable[bool]]) -> None:
    for entry_id in ids:
        place = whereabouts(entry_id)
        if place is None or not await change(*place, since=time.monotonic()):
            raise UnknownEntry(entry_id)


def _tell(count: int, name: str, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json({name: count})
    else:
        click.echo(f"{_events(count)} {what}")


def _demand(ids: tuple[str, ...], *, every: bool) -> None:
    if bool(ids) is every:
        raise click.UsageError("name events by their ids, or all of them with --all")


def _print(
    backlog: Backlog, lines: Sequence[AppLine], refused: Sequence[SetAside], now: datetime
) -> None:
    console = screen()
    lag = f", the first for {backlog.lag_s(now):,.0f} s" if backlog.waiting else ""
    told = f"{_events(backlog.waiting)} waiting{lag}; {backlog.set_aside:,} refused"
    console.print(told, markup=False)
    for line in lines:
        one = line.backlog
        told = f" · app {line.app_id}: {one.waiting:,} waiting, {one.set_aside:,} refused"
        if line.fault:
            told += f"; not taken {line.tries} times: {line.fault}"
        if line.again_at is not None:
            told += f"; tried again in {(line.again_at - now).total_seconds():,.0f} s"
        console.print(told, markup=False)
        if line.first is not None:
            console.print(f"   first {line.first}", markup=False)
    for each in refused:
        console.print(f" ! {each.event.id}  {each.status}  {each.at:%Y-%m-%d %H:%M:%S}Z")
        console.print(printable(f"   {each.event.body}"), markup=False)


def _events(number: int) -> str:
    return f"{number:,} event" + "s" * (number != 1)
