"""`sidecar openapi`: what can be asked of the server, for a program?"""

import click

from sidecar.api.openapi import document
from sidecar.cli.options import json_anyway
from sidecar.cli.printing import print_json


@click.command()
@json_anyway
def openapi() -> None:
    """Print the OpenAPI 3.1 document; a server has it at /openapi.json."""
    print_json(document())
