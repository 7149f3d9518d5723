"""The `sidecar` command; one module for each sub-command."""

import io
import sys

import click

from sidecar import __version__
from sidecar.cli.commands import Commands
from sidecar.errors import SidecarError

EXIT_USAGE = 64
EXIT_INVALID = 3


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sidecar")
def cli() -> None:
    """Decide before each request, count after it."""


def main() -> None:
    """Run the command line; wrong use exits 64, wrong policies or settings 3."""
    _print_what_can_be()
    try:
        code = cli.main(prog_name="sidecar", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except SidecarError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_INVALID)
    sys.exit(code if isinstance(code, int) else 0)


def _print_what_can_be() -> None:
    """A screen or file of few letters gets the others by their numbers, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
