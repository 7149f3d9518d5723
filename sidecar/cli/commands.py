"""Which commands are there? Each is imported when it is run, not when its name is listed."""

from collections.abc import Mapping
from importlib import import_module
from keyword import iskeyword
from typing import Final

import click
from click.shell_completion import CompletionItem

LISTED: Final[Mapping[str, str]] = {
    "check": "Decide one request; exits 0 for allow and warn, 2 for deny.",
    "completion": "Print a script with which bash, zsh or fish complete what is typed.",
    "decisions": "Look into the files of a decision log.",
    "explain": "Show every limit and rule: whether it applied and why, its numbers, and where it "
    "stands.",
    "explain-code": "Show what a CODE of validate and lint means, with examples; all of them "
    "without CODE.",
    "import": "Write the policy that CONFIG stands for, an older subscription_config.json.",
    "init": "Make DIRECTORY (policies): a commented policy, a test that passes, schemas for "
    "editors.",
    "lint": "Show what `validate` shows and, where there is no mistake, what is surely not meant.",
    "openapi": "Print the OpenAPI 3.1 document; a server has it at /openapi.json.",
    "outbox": "Show events that wait for the control plane; try them again or drop them.",
    "repl": "Try expressions against a sample request; :help lists what can be typed.",
    "schema": "Print the JSON Schema of a policy file, a test file or a price file.",
    "serve": "Serve decisions.",
    "simulate": "Replay what was recorded against other policies, and show what would change.",
    "status": "Show how each part of a running server stands; exits 2 if one is down.",
    "test": "Run the tests of the policies in PATH: the files that end in _test.yaml.",
    "top": "Show what goes on at a running server: rates, latencies, and who is near a limit.",
    "usage": "Show what an app or a user used, hour by hour or day by day, and what is left.",
    "validate": "Load the policies in PATH and show every mistake with its place; exits 3 if "
    "there is one.",
}
"""With the first sentence of its own help, which is read here so that it need not be imported."""
_HELP_WIDTH: Final = 60


class Commands(click.Group):
    """A group that knows its commands by name, so that none pays for what another needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in order."""
        return sorted(LISTED)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, imported now."""
        if cmd_name not in LISTED:
            return None
        # `import` is no name in Python, and `explain-code` neither.
        name = cmd_name.replace("-", "_") + "_" * iskeyword(cmd_name)
        command = getattr(import_module(f"sidecar.cli.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What a command may go on with, without importing one."""
        commands = [
            CompletionItem(name, help=_cut(LISTED[name], _HELP_WIDTH))
            for name in self.list_commands(ctx)
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing one."""
        room = formatter.width - 6 - max(map(len, LISTED))
        names = self.list_commands(ctx)
        with formatter.section("Commands"):
            formatter.write_dl([(name, _cut(LISTED[name], room)) for name in names])


def _cut(sentence: str, room: int) -> str:
    """As much of it as has room in one line, as click cuts the help of a command."""
    return click.Command(None, help=sentence).get_short_help_str(room)
