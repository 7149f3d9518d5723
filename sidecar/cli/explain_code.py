"""`sidecar explain-code`: what does `error[B1]` mean, and what is better?"""

import click
from rich.markdown import Markdown

from sidecar.cli import completing
from sidecar.cli.options import json_option
from sidecar.cli.printing import print_json, screen
from sidecar.policy.codes import CODES
from sidecar.policy.diagnostics import did_you_mean
from sidecar.policy.pages import page_of


@click.command("explain-code")
@click.argument("code", required=False, shell_complete=completing.codes)
@json_option("the same, as text in JSON")
def explain_code(code: str | None, as_json: bool) -> None:
    """Show what a CODE of validate and lint means, with examples; all of them without CODE."""
    if code is None:
        listed = sorted(CODES.items(), key=lambda it: (it[0][0], int(it[0][1:])))
        if as_json:
            print_json([{"code": known, "reason": reason} for known, reason in listed])
            return
        for known, reason in listed:
            click.echo(f"{known:4} {reason}")
        return
    wanted = code.upper()
    if wanted not in CODES:
        raise click.UsageError(f"no code {code!r}; {did_you_mean(wanted, CODES)}".rstrip("; "))
    if as_json:
        page = page_of(wanted).rstrip()
        print_json({"code": wanted, "reason": CODES[wanted], "page": page})
        return
    console = screen()
    if console.color_system is None:
        click.echo(page_of(wanted).rstrip())
    else:
        console.print(Markdown(page_of(wanted)))
