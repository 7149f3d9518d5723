"""`sidecar init`: with what does one begin?"""

from pathlib import Path

import click

from sidecar.cli.options import json_option
from sidecar.cli.printing import print_json
from sidecar.cli.written import write_new
from sidecar.policy.json_schema import Kind, schema_text
from sidecar.policy.load import shipped

_STARTER = ("policy.yaml", "policy_test.yaml", "README.md")


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default="policies")
@json_option("the files")
def init(directory: Path, as_json: bool) -> None:
    """Make DIRECTORY (policies): a commented policy, a test that passes, schemas for editors.

    Nothing is overwritten: if one of the files is there already, none is written.
    """
    files = {directory / name: _own(name) for name in _STARTER}
    files |= {directory / "schema" / kind.file_name: schema_text(kind) for kind in Kind}
    write_new(files)
    if as_json:
        print_json({"files": list(files)})
        return
    for file in files:
        click.echo(file)
    click.echo(f"\nNext: edit {directory / 'policy.yaml'}, then")
    click.echo(f"  sidecar test {directory}")
    click.echo(f"  sidecar serve --policies {directory}")


def _own(name: str) -> str:
    """A file of the starter; its schema stands in a folder of its own directory."""
    text = (shipped("starter") / name).read_text(encoding="utf-8")
    return text.replace("$schema=../schema/", "$schema=schema/", 1)
