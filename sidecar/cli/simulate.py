"""`sidecar simulate`: what would another policy have said of what was recorded?"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sidecar.api.faults import fault_of
from sidecar.api.pushes import SUBSCRIPTION
from sidecar.bootstrap.prices import prices_named_by
from sidecar.cli.options import format_options, prices_option
from sidecar.cli.outcome import NOTHING_COUNTED, as_json, print_outcome
from sidecar.cli.printing import print_json, screen
from sidecar.cli.recordings import Reading, Recordings, Told, told_on_the_way
from sidecar.domain.subscription import Subscription
from sidecar.errors import ConfigurationError
from sidecar.policy.load import load
from sidecar.policy.simulation.replay import Replay
from sidecar.policy.simulation.side import CountedBy
from sidecar.policy.simulation.subscriptions import Known
from sidecar.settings import read_settings

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@click.command()
@click.option(
    "--policies", required=True, type=click.Path(path_type=Path), help="The candidate's directory."
)
@click.option(
    "--events",
    "sources",
    required=True,
    multiple=True,
    metavar="FILE",
    help="A decision log (its directory, or files of it), or NDJSON of checks with an `at` and of "
    "usage events; - for standard input. May be given several times.",
)
@click.argument("more", nargs=-1, metavar="[FILE]...")
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    help="Compare with what these policies say, instead of with what was said.",
)
@click.option(
    "--subscriptions",
    type=click.Path(path_type=Path),
    help="Bodies of subscription syncs, NDJSON, for users whose subscription was not recorded.",
)
@click.option(
    "--count",
    "counted",
    type=click.Choice(["auto", *(each.value for each in CountedBy)]),
    default="auto",
    show_default=True,
    help="What counts: reported use; what checks asked to hold; what each check estimated, held or "
    "not. auto: use where there is any, else holds.",
)
@prices_option
@click.option("--users", default=10, show_default=True, help="Users that are named.")
@format_options("text", "json", help="For a person or a program.")
def simulate(
    policies: Path,
    sources: tuple[str, ...],
    more: tuple[str, ...],
    against: Path | None,
    subscriptions: Path | None,
    counted: str,
    prices: Path | None,
    users: int,
    form: str,
) -> None:
    """Replay what was recorded against other policies, and show what would change.

    Counters start with what the first recorded decision read in them, else empty.
    """
    settings = read_settings(sidecar_prices=prices)
    priced = prices_named_by(settings)
    candidate = load(policies, ceiling=settings.ceiling, prices=priced)
    base = None if against is None else load(against, ceiling=settings.ceiling, prices=priced)
    recordings = Recordings([*sources, *more])
    by = CountedBy.USAGE if recordings.tell_of_use else CountedBy.HOLDS
    if counted != "auto":
        by = CountedBy(counted)
    replay = Replay(candidate, base, by, Known(_subscriptions(subscriptions)))
    reading = recordings.reading
    with _progress(reading) as tell:
        outcome = replay.run(told_on_the_way(recordings, reading, tell))
    for why in reading.why:
        click.echo(why, err=True)
    if not reading.events:
        raise ConfigurationError("there is no event to replay")
    if form == "json":
        if outcome.is_nothing_counted:
            click.echo(f"warning: {NOTHING_COUNTED}", err=True)
        print_json(as_json(outcome, reading, users))
        return
    print_outcome(outcome, reading, users, screen())


def _subscriptions(file: Path | None) -> Iterable[Subscription]:
    if file is None:
        return
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            body = SUBSCRIPTION.validate_json(line)
        except ValidationError as error:
            raise ConfigurationError(f"{file}:{number}: {fault_of(error)}") from None
        yield body.subscription(body.updated_at or _LONG_AGO)


@contextmanager
def _progress(reading: Reading) -> Iterator[Told]:
    """Shows how far it is, where somebody looks at a screen."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (BarColumn(), TextColumn("{task.percentage:>3.0f} %  {task.description}"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task("", total=reading.size or None)

        def tell(now: Reading) -> None:
            progress.update(task, completed=now.done, description=f"{now.events:,} events")

        yield tell
