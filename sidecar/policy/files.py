"""How do the bytes of a file become text in which every value has its place, and back?"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from sidecar.errors import ConfigurationError
from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.source import MAX_BYTES, SourceFile


def content_of(file: Path) -> bytes:
    """The file's bytes, or enough of them to see that they are too many.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from error


def source_of(
    file: Path,
    content: bytes,
    *,
    kind: str = "Policy",
    fraction: Callable[[str], object] = float,
) -> SourceFile | Diagnostic:
    """The file as text, or why it is none; see `SourceFile`."""
    hint = "split it into several files of the directory" if kind == "Policy" else ""
    text = decoded(file, content, too_large=hint)
    if isinstance(text, Diagnostic):
        return text
    return SourceFile(str(file), text, kind=kind, fraction=fraction)


def decoded(file: Path, content: bytes, *, too_large: str = "") -> str | Diagnostic:
    """What was read as text, or why it is none.

    Args:
        too_large: what to do with a file that is.
    """
    if len(content) > MAX_BYTES:
        message = f"the file is larger than {MAX_BYTES:,} bytes"
        return Diagnostic("A1", message, str(file), hint=too_large)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8").splitlines(keepends=True) or [""]
        line = before[-1] + content[error.start :].partition(b"\n")[0].decode("utf-8", "replace")
        return Diagnostic(
            "A1", "this is not UTF-8", str(file), len(before), len(before[-1]) + 1,
            hint="save the file as UTF-8", source_line=line,
        )  # fmt: skip


def text_of(file: Path) -> str:
    """All characters of a file that was read before: its line ends and byte order mark as well.

    Raises:
        ConfigurationError: it cannot be read.
    """
    return content_of(file).decode("utf-8")


def rewrite(file: Path, text: str) -> None:
    """Give a file other text at once, so that nobody reads half of it; its mode stays.

    Raises:
        ConfigurationError: it cannot be written.
    """
    # What a link points to is written; a link stays one.
    target = file.resolve()
    new = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        try:
            new.write_bytes(text.encode("utf-8"))
            shutil.copymode(target, new)
            new.replace(target)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be written: {error.strerror}") from error
