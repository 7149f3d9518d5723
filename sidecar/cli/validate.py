"""`sidecar validate`: do policies or prices load, and if not, where are they wrong?"""

from pathlib import Path

import click

from sidecar.cli.findings import exit_code, format_option, prices_option, tell
from sidecar.cli.inspection import inspected
from sidecar.policy.diagnostics import in_order


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@format_option
@prices_option
@click.pass_context
def validate(context: click.Context, path: Path, form: str, prices: Path | None) -> None:
    """Load the policies in PATH and show every mistake with its place; exits 3 if there is one.

    PATH may be a price file too.
    """
    inspection = inspected(path, prices)
    tell(in_order(inspection.mistakes), form, otherwise=inspection.summary)
    context.exit(exit_code(inspection.mistakes, strict=False))
