"""`sidecar openapi`: what can be asked of the server, for a program?"""

import click

from sidecar.api.openapi import document_text


@click.command()
def openapi() -> None:
    """Print the OpenAPI 3.1 document; a server has it at /openapi.json."""
    click.echo(document_text())
