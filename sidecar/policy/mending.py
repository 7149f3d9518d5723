"""What can be written in the place of a finding, where the finding itself does not say it?"""

from sidecar.policy.diagnostics import Diagnostic, Fix
from sidecar.policy.source import SourceFile


def over(source: SourceFile, found: Diagnostic, instead: str) -> Fix:
    """Other text for what a finding underlines."""
    start = source.offset(found.line, found.column)
    return Fix(source.name, start, start + found.length, instead)


def headed(source: SourceFile, field: str) -> Fix | None:
    """The one line of a file's head that it lacks; None where braces begin it."""
    line = f"kind: {source.kind}" if field == "kind" else "apiVersion: sidecar/v1"
    span = source.span(())
    above = source.span(("apiVersion",))
    if span is None or source.text[span[0] - len(source.mark)] == "{":
        return None
    if field == "kind" and above is not None:
        return Fix(source.name, above[1], above[1], f"\n{line}")
    return Fix(source.name, span[0], span[0], f"{line}\n")
