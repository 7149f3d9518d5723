"""`sidecar schema`: what does an editor have to know of a file?"""

import click

from sidecar.cli.options import json_anyway
from sidecar.policy.json_schema import Kind, schema_text


@click.command()
@click.option(
    "--kind", type=click.Choice([kind.value for kind in Kind]), default=Kind.POLICY.value,
    show_default=True, help="Of which kind of file.",
)  # fmt: skip
@json_anyway
def schema(kind: str) -> None:
    """Print the JSON Schema of a policy file, a test file or a price file.

    Editors read it where the first line of a file names it:
    # yaml-language-server: $schema=schema/policy.schema.json
    """
    click.echo(schema_text(Kind(kind)), nl=False)
