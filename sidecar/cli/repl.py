"""`sidecar repl`: expressions against a sample request, one after the other."""

import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import click

from sidecar.bootstrap.prices import prices_named_by
from sidecar.cli.options import policies_option, prices_option
from sidecar.cli.sample import DEFAULT, read_sample, sample_of
from sidecar.cli.trying import Trying
from sidecar.logs import configure_logging
from sidecar.policy.diagnostics import InvalidPolicies
from sidecar.policy.load import examine, shipped
from sidecar.policy.session import Session
from sidecar.settings import read_settings

_PROMPT = "> "


@click.command()
@policies_option
@prices_option
@click.option(
    "--context",
    "sample",
    type=click.Path(path_type=Path),
    help="A sample request: the JSON body of POST /v1/explain.",
)
def repl(policies: Path | None, prices: Path | None, sample: Path | None) -> None:
    """Try expressions against a sample request; :help lists what can be typed."""
    configure_logging("console")
    settings = read_settings(sidecar_policies=policies, sidecar_prices=prices)
    known = prices_named_by(settings)

    def load(path: Path) -> Session:
        examined = examine(path, ceiling=settings.ceiling, prices=known)
        if examined.policies is None:
            raise InvalidPolicies(examined.findings)
        return Session(examined.policies, examined.units, sample_of(DEFAULT))

    session = load(settings.sidecar_policies or shipped("self-hosted"))
    trying = Trying(session, load, DEFAULT if sample is None else read_sample(sample))
    for line in _typed():
        if not trying.take(line.strip()):
            return


def _typed() -> Iterable[str]:
    """Lines as they come; of a person with a prompt, and with a history where there is readline."""
    if not sys.stdin.isatty():
        yield from sys.stdin
        return
    with suppress(ImportError):
        import readline  # noqa: F401  input() uses it once it is there
    click.echo("An expression, or :help")
    while True:
        try:
            yield input(_PROMPT)
        except KeyboardInterrupt:
            click.echo()
        except EOFError:
            click.echo()
            return
