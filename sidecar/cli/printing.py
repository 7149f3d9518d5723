"""How does a command write, to a screen, into a pipe and for a program?"""

import shutil
import sys
from collections.abc import Mapping
from typing import Final

import click
from pydantic_core import to_json
from rich.console import Console
from rich.table import Table
from rich.text import Text

STATES: Final[Mapping[str, str]] = {
    "ok": "green",
    "off": "dim",
    "degraded": "bold yellow",
    "down": "bold red",
}
"""How the state of a part is shown."""
NOBODY_LOOKS: Final = 10_000
"""Columns of what goes into another program: a line stays a line."""


def print_json(value: object) -> None:
    """One document, laid out alike whichever command it is from."""
    click.echo(to_json(value, indent=2))


def screen() -> Console:
    """Standard output: with colours on a terminal alone, and without NO_COLOR."""
    is_screen = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if is_screen else NOBODY_LOOKS
    return Console(highlight=False, soft_wrap=True, width=width)


def plain_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """Columns with nothing drawn between them."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left")
    return table


def print_table(table: Table, console: Console) -> None:
    """Print it without the spaces that fill up its last column."""
    with console.capture() as capture:
        console.print(table)
    lines = (line.rstrip() for line in capture.get().splitlines())
    console.print(Text.from_ansi("\n".join(lines)))


def bar(share: float, width: int, *, drawn: bool) -> str:
    """How much of something is used up, one or more for all of it.

    Args:
        drawn: whether it may be other than plain characters.
    """
    full = min(width, max(0, round(share * width)))
    # What is used at all is seen, and so is what is left.
    full = max(full, 1) if share > 0 else full
    full = min(full, width - 1) if share < 1 else full
    return "█" * full + "░" * (width - full) if drawn else "#" * full + "." * (width - full)


def printable(text: str) -> str:
    """A text of somebody else's without what would steer the terminal."""
    return "".join(
        letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text
    )


def lasted(seconds: int) -> str:
    """`2d 4h`."""
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (rest, "s"))
    shown = [f"{number}{unit}" for number, unit in parts if number]
    return " ".join(shown[:2]) or "0s"
