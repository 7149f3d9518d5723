"""`sidecar validate`: do policies or prices load, and if not, where are they wrong?"""

from pathlib import Path

import click

from sidecar.cli.findings import exit_code, format_option, tell
from sidecar.cli.inspection import inspection_of
from sidecar.cli.options import prices_option


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@format_option
@prices_option
@click.pass_context
def validate(context: click.Context, path: Path, form: str, prices: Path | None) -> None:
    """Load the policies in PATH and show every mistake with its place; exits 3 if there is one.

    Tests beside the policies are read too, but not run. PATH may be a price file.
    """
    inspection = inspection_of(path, prices)
    tell(inspection.mistakes, form, otherwise=inspection.summary)
    context.exit(exit_code(inspection.mistakes, strict=False))
