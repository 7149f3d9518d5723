"""`sidecar import`: what does the runtime's older configuration say as a policy?"""

from pathlib import Path

import click

from sidecar.cli.options import json_option
from sidecar.cli.printing import print_json
from sidecar.cli.written import write_new
from sidecar.policy.files import content_of
from sidecar.policy.legacy.config import read_old
from sidecar.policy.legacy.json_text import JsonFile
from sidecar.policy.legacy.notes import NoteKind, told
from sidecar.policy.legacy.policy_text import policy_text


@click.command("import")
@click.argument("config", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False),
    help="The policy file to write; without it, it is printed.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite the file of --output.")
@json_option("the policy and what is said of it")
def import_(config: Path, output: Path | None, force: bool, as_json: bool) -> None:
    """Write the policy that CONFIG stands for, an older subscription_config.json.

    Both of its shapes are read: "plans" and "subscription_plans". What is dropped or taken for
    granted is said on standard error and at the head of the policy. Exits 3 where CONFIG
    is wrong.
    """
    found = read_old(JsonFile(config, content_of(config)))
    text = policy_text(found, config.name)
    if output is not None:
        write_new({output: text}, force=force)
    if as_json:
        notes = [{"kind": it.kind, "what": it.what, "why": it.why} for it in found.notes]
        print_json({"policy": text, "file": output, "notes": notes})
        return
    if output is None:
        click.echo(text, nl=False)
    for kind in NoteKind:
        for line in told(found.notes, kind):
            click.echo(f"{kind.value}: {line}", err=True)
    if output is not None:
        click.echo(f"{output} is written; look at it with: sidecar lint {output}", err=True)
