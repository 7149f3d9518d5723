"""`sidecar serve`: run the server, and say in words what it enforces."""

import asyncio
import ipaddress
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import uvicorn
from starlette.applications import Starlette

from sidecar.bootstrap.identity import demand_identity, with_portal_secret
from sidecar.bootstrap.policies import find_policies
from sidecar.bootstrap.server import create_app
from sidecar.bootstrap.stores import StoreReport, describe_store, is_in_memory, look_at_store
from sidecar.bootstrap.tracing import demand_tracing
from sidecar.cli.beside import lines_beside
from sidecar.cli.http import BoundedHttp, Bounds
from sidecar.cli.listening import allow_connections, file_mode, listen, listen_on_file
from sidecar.cli.published import published_policies
from sidecar.cli.workers import Workers
from sidecar.domain.modes import Ceiling
from sidecar.errors import ConfigurationError
from sidecar.logs import configure_logging
from sidecar.policy.reloading.judging import Accepted, Refused, strictest
from sidecar.policy.reloading.kept import Found
from sidecar.policy.snapshot import PolicySet
from sidecar.settings import DEFAULT_STORE, Settings, read_settings, unread_variables

_FINISH_S = 4
"""For what is being answered when nothing more is accepted."""


@click.command(epilog="Settings are read from the environment; the README lists them all.")
@click.option("--policies", type=click.Path(path_type=Path), help="Directory of policy files.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8377, show_default=True, help="0 takes any."
)
@click.option("--uds", type=click.Path(path_type=Path), help="Listen on this unix socket instead.")
@click.option(
    "--uds-mode",
    callback=file_mode,
    default="660",
    show_default=True,
    help="Who may connect to the unix socket, in octal: its user and group, or 666 for everybody.",
)
@click.option("--store", help="Where usage is counted, as SIDECAR_STORE.")
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True)
@click.option(
    "--log-format",
    type=click.Choice(["console", "json"]),
    default="console",
    show_default=True,
)
def serve(
    policies: Path | None,
    host: str,
    port: int,
    uds: Path | None,
    uds_mode: int,
    store: str | None,
    workers: int,
    log_format: str,
) -> None:
    """Serve decisions."""
    # Until the server can reload, a hang-up is nothing to it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    configure_logging(log_format)
    settings = read_settings(sidecar_policies=policies, sidecar_store=store)
    if uds is None:
        _refuse_open_door(settings, host)
    if workers > 1 and is_in_memory(settings.sidecar_store):
        raise ConfigurationError(
            "SIDECAR_STORE: each worker would count in a memory of its own; name a file, as in "
            f"{DEFAULT_STORE}"
        )
    if workers > 1 and settings.sidecar_leases:
        raise ConfigurationError(
            "SIDECAR_LEASES: whoever extends a reservation must reach the process that answered "
            "its check, and callers of several workers cannot choose; use --workers 1 or no leases"
        )
    demand_tracing(settings)
    demand_identity(settings)
    # Whatever is made for want of a setting is made once for all workers.
    settings = with_portal_secret(settings)
    policies_found = find_policies(settings)
    found = asyncio.run(look_at_store(settings))
    listener, address = listen(host, port) if uds is None else listen_on_file(uds, uds_mode)
    bounds = Bounds(settings.sidecar_client_timeout_s, settings.sidecar_connections)
    bounds = replace(bounds, connections=allow_connections(bounds.connections))
    _introduce(settings, policies_found, address, found)
    if bounds.connections < settings.sidecar_connections:
        click.echo(
            f"  note      {bounds.connections} connections at most: the system lets this process "
            "open no more files",
            err=True,
        )
    # uvicorn drains, then raises the signal again as if nobody had caught it: that is the
    # ordinary end of a server, not a failure.
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: sys.exit(0))
    try:
        if workers == 1:
            app = partial(
                create_app,
                settings,
                log_format,
                policies_found,
                hears_signals=True,
                on_file=uds is not None,
            )
            uvicorn.Server(_config(app, bounds)).run(sockets=[listener])
        else:
            with published_policies(settings, policies_found) as published:
                app = partial(
                    create_app,
                    settings,
                    log_format,
                    followed_in=published.folder,
                    counted_in=published.counted,
                    hears_signals=True,
                    on_file=uds is not None,
                )
                Workers(_config(app, bounds, workers), [listener], published).run()
    finally:
        listener.close()
        if uds is not None:
            uds.unlink(missing_ok=True)


def _config(app: Callable[[], Starlette], bounds: Bounds, workers: int = 1) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=True,
        http=partial(BoundedHttp, bounds=bounds),  # type: ignore[arg-type] # called like the class
        ws="none",
        workers=workers,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # Nobody asks who the caller is, beyond its key.
        proxy_headers=False,
        timeout_graceful_shutdown=_FINISH_S,
        # A busy machine takes longer than the usual 5 s to begin one, and would begin it for ever.
        timeout_worker_healthcheck=30,
    )


def _refuse_open_door(settings: Settings, host: str) -> None:
    if settings.has_keys or settings.sidecar_insecure or _is_loopback(host):
        return
    raise ConfigurationError(
        f"no key is configured, so {host} is not listened on: anybody there could use and change "
        "quotas. Set SIDECAR_RUNTIME_KEYS and INTERNAL_API_KEY, or SIDECAR_INSECURE=true."
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _introduce(settings: Settings, policies_found: Found, address: str, found: StoreReport) -> None:
    """What a person wants to know at the start."""
    policies = policies_found.live.policies
    where = settings.sidecar_policies or "the shipped self-hosted set"
    click.echo(f"sidecar listens on {address}")
    click.echo(f"  policies  {where}  {policies.revision}")
    click.echo(f"  mode      {_mode_in_words(settings, policies)}")
    match policies_found.shadow:
        case Accepted() as candidate:
            shadow = settings.sidecar_shadow_policies
            click.echo(f"  shadow    {shadow}  {candidate.policies.revision}")
        case Refused() as refused:
            click.echo(f"  note      the shadow policies are wrong: {refused.message}", err=True)
    store = describe_store(settings.sidecar_store)
    click.echo(f"  store     {store}" + (f"  NOT READY: {found.fault}" if found.fault else ""))
    for name, told in lines_beside(settings):
        click.echo(f"  {name:<9} {told}")
    click.echo(f"  callers   {'show a key' if settings.has_keys else 'need no key'}")
    for note in [*filter(None, [found.note]), *unread_variables()]:
        click.echo(f"  note      {note}", err=True)


def _mode_in_words(settings: Settings, policies: PolicySet) -> str:
    modes = {plan.mode for plan in policies.plans}
    mixed = " for some plans" if len(modes) > 1 else ""
    quotas = settings.mozaiks_enforce_quotas
    match settings.ceiling:
        case Ceiling.AS_WRITTEN:
            why = "as the files say"
        case Ceiling.CAPPED:
            why = "MOZAIKS_ENFORCE_QUOTAS=false lets nothing be harsher than a warning"
        case Ceiling.RAISED if quotas:
            why = "MOZAIKS_ENFORCE_QUOTAS=true"
        case Ceiling.RAISED:
            why = "MOZAIKS_MODE=platform"
    return f"{strictest(modes)}{mixed}: {why}"
