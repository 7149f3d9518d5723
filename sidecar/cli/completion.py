"""`sidecar completion`: how does a shell learn what can be typed?"""

import click
from click.shell_completion import get_completion_class

_HOW = {
    "bash": 'eval "$(sidecar completion bash)" in ~/.bashrc',
    "zsh": 'eval "$(sidecar completion zsh)" in ~/.zshrc',
    "fish": "sidecar completion fish | source in ~/.config/fish/config.fish",
}


@click.command(epilog="; ".join(_HOW.values()))
@click.argument("shell", type=click.Choice(list(_HOW)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script with which bash, zsh or fish complete what is typed."""
    made = get_completion_class(shell)
    assert made is not None, "click knows all of them"
    root = context.find_root().command
    click.echo(made(root, {}, "sidecar", "_SIDECAR_COMPLETE").source())
