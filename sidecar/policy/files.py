"""How do the bytes of a file become text in which every value has its place?"""

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
    if len(content) > MAX_BYTES:
        hint = "split it into several files of the directory" if kind == "Policy" else ""
        message = f"the file is larger than {MAX_BYTES:,} bytes"
        return Diagnostic("A1", message, str(file), hint=hint)
    try:
        return SourceFile(str(file), content.decode("utf-8"), kind=kind, fraction=fraction)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8").splitlines(keepends=True) or [""]
        line = before[-1] + content[error.start :].partition(b"\n")[0].decode("utf-8", "replace")
        return Diagnostic(
            "A1", "this is not UTF-8", str(file), len(before), len(before[-1]) + 1,
            hint="save the file as UTF-8", source_line=line,
        )  # fmt: skip
