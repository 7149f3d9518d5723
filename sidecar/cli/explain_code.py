"""`sidecar explain-code`: what does `error[B1]` mean, and what is better?"""

import click
from rich.console import Console
from rich.markdown import Markdown

from sidecar.policy.codes import CODES
from sidecar.policy.diagnostics import did_you_mean
from sidecar.policy.pages import page_of


@click.command("explain-code")
@click.argument("code", required=False)
def explain_code(code: str | None) -> None:
    """Show what a CODE of validate and lint means, with examples; all of them without CODE."""
    if code is None:
        for known, reason in sorted(CODES.items(), key=lambda it: (it[0][0], int(it[0][1:]))):
            click.echo(f"{known:4} {reason}")
        return
    wanted = code.upper()
    if wanted not in CODES:
        raise click.UsageError(f"no code {code!r}; {did_you_mean(wanted, CODES)}".rstrip("; "))
    console = Console(width=100)
    if console.color_system is None:
        click.echo(page_of(wanted).rstrip())
    else:
        console.print(Markdown(page_of(wanted)))
