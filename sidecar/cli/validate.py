"""`sidecar validate`: does a policy directory load, and if not, where is it wrong?"""

import json
from pathlib import Path

import click

from sidecar.domain.modes import Ceiling
from sidecar.policy.diagnostics import Diagnostic, InvalidPolicies
from sidecar.policy.load import load, policy_files


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.pass_context
def validate(context: click.Context, path: Path, form: str) -> None:
    """Load the policies in PATH and show every mistake with its place; exits 3 if there is one."""
    findings: tuple[Diagnostic, ...] = ()
    untold = 0
    summary = ""
    try:
        policies = load(path, ceiling=Ceiling.AS_WRITTEN)
        count = len(policy_files(path))
        summary = (
            f"{path}: {count} file{'s' * (count != 1)}, {len(policies.plans)} "
            f"plan{'s' * (len(policies.plans) != 1)}, {policies.revision}"
        )
    except InvalidPolicies as error:
        findings, untold = error.diagnostics, error.untold
    if form == "json":
        click.echo(json.dumps([_as_json(found) for found in findings], indent=2))
    else:
        for found in findings:
            click.echo(str(found))
        mistakes = f"{len(findings)} mistake{'s' * (len(findings) != 1)}"
        mistakes += f" and {untold:,} more" if untold else ""
        click.echo(mistakes if findings else summary, err=bool(findings))
    if findings:
        context.exit(3)


def _as_json(found: Diagnostic) -> dict[str, object]:
    return {
        "code": found.code,
        "severity": found.severity.value,
        "file": found.file,
        "line": found.line,
        "column": found.column,
        "length": found.length,
        "path": found.path,
        "message": found.message,
        "hint": found.hint,
    }
