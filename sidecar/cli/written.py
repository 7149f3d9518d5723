"""How are files written so that nobody's own are lost?"""

from collections.abc import Mapping
from pathlib import Path

import click

from sidecar.errors import ConfigurationError


def write_new(files: Mapping[Path, str], *, force: bool = False) -> None:
    """Write these files, or none of them where one is there already; folders are made.

    Args:
        force: overwrite what is there.

    Raises:
        click.UsageError: something is there.
        ConfigurationError: it cannot be written.
    """
    there = [str(file) for file in files if file.exists() or file.is_symlink()]
    if there and not force:
        raise click.UsageError(f"{', '.join(there)}: there already, and left as it is")
    for file, text in files.items():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("w" if force else "x", encoding="utf-8", newline="\n") as opened:
                opened.write(text)
        except OSError as error:
            raise ConfigurationError(f"{file}: cannot be written: {error.strerror}") from error
