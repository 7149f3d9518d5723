"""Which flags do several commands share?"""

from pathlib import Path

import click

policies_option = click.option(
    "--policies", type=click.Path(path_type=Path), help="Directory of policy files."
)
prices_option = click.option(
    "--prices", type=click.Path(path_type=Path), help="What models cost, as SIDECAR_PRICES."
)
