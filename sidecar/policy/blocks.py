"""How would an expression stand in a block of its own, so that nothing in it is escaped?"""

import re

from sidecar.policy.diagnostics import Fix
from sidecar.policy.source import Path, Scalar, SourceFile

_KEY_BEFORE = re.compile(r"([ ]*(?:- +)*)[\w-]+: +")


def in_block(source: SourceFile, path: Path) -> Fix | None:
    """The expression of a path in a `|` block; None where it stands in brackets."""
    scalar = source.scalar(path)
    if scalar is None:
        return None
    text = source.mark + source.text
    if scalar.style == ">" and text[scalar.start + 1] in "-+\r\n":
        return Fix(source.name, scalar.start, scalar.start + 1, "|")
    header = _KEY_BEFORE.fullmatch(source.lines[scalar.place.line - 1][: scalar.place.column - 1])
    if header is None or scalar.style in ("|", ">") or _is_followed(text, scalar):
        return None
    indentation = " " * (len(header[1]) + 2)
    body = "".join(f"\n{indentation}{line}" for line in scalar.value.splitlines())
    return Fix(source.name, scalar.start, scalar.end, f"|-{body}")


def _is_followed(text: str, scalar: Scalar) -> bool:
    """Whether something stands behind it in its line, as a comment, which a block would swallow."""
    return re.match(r"[ \t]*(\r?\n|$)", text[scalar.end :]) is None
