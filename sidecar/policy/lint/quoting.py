"""Can an expression be read as it stands in its file?"""

from collections.abc import Iterable
from datetime import datetime

from sidecar.policy.blocks import in_block
from sidecar.policy.diagnostics import Diagnostic, Fix
from sidecar.policy.lint.remarks import warning
from sidecar.policy.load import Examined
from sidecar.policy.source import Path
from sidecar.policy.unit import Unit


def check(examined: Examined, _: datetime) -> Iterable[Diagnostic]:
    """A6: expressions in double quotes, with their own quotes escaped."""
    for unit in examined.units:
        # JSON has no other quotes.
        paths = () if unit.source.name.lower().endswith(".json") else unit.expressions
        for path in paths:
            scalar = unit.source.scalar(path)
            if scalar is None or scalar.style != '"':
                continue
            if "\\" in (unit.source.mark + unit.source.text)[scalar.start : scalar.end]:
                message = "this expression is hard to read with its quotes escaped"
                hint = "put it in single quotes, or in a block behind |"
                yield warning(unit, "A6", message, path, hint=hint, fix=_fix(unit, path))


def _fix(unit: Unit, path: Path) -> Fix | None:
    scalar = unit.source.scalar(path)
    assert scalar is not None, "an expression is text"
    if "'" in scalar.value or not scalar.value.isprintable():
        return in_block(unit.source, path)
    return Fix(unit.source.name, scalar.start, scalar.end, f"'{scalar.value}'")
