"""The `sidecar` command; one module for each sub-command."""

import sys

import click

from sidecar import __version__
from sidecar.cli.check import check
from sidecar.cli.explain import explain
from sidecar.cli.explain_code import explain_code
from sidecar.cli.import_ import import_
from sidecar.cli.init import init
from sidecar.cli.lint import lint
from sidecar.cli.openapi import openapi
from sidecar.cli.repl import repl
from sidecar.cli.schema import schema
from sidecar.cli.serve import serve
from sidecar.cli.simulate import simulate
from sidecar.cli.test import test
from sidecar.cli.validate import validate
from sidecar.errors import SidecarError

EXIT_USAGE = 64
EXIT_INVALID = 3


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sidecar")
def cli() -> None:
    """Decide before each request, count after it."""


cli.add_command(serve)
cli.add_command(check)
cli.add_command(explain)
cli.add_command(repl)
cli.add_command(validate)
cli.add_command(test)
cli.add_command(import_)
cli.add_command(schema)
cli.add_command(simulate)
cli.add_command(init)
cli.add_command(lint)
cli.add_command(explain_code)
cli.add_command(openapi)


def main() -> None:
    """Run the command line; wrong use exits 64, wrong policies or settings 3."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except SidecarError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_INVALID)
    sys.exit(code if isinstance(code, int) else 0)
