"""What of the policies do the tests beside them never show?"""

from collections.abc import Iterator
from dataclasses import replace

from sidecar.policy.diagnostics import Diagnostic, Severity
from sidecar.policy.load import Examined
from sidecar.policy.testing import Report
from sidecar.policy.testing.coverage import Gap
from sidecar.policy.testing.spots import Kind, Spot


def untested(examined: Examined, report: Report) -> Iterator[Diagnostic]:
    """L1 for what no test is about, L2 for what was seen one way only."""
    sources = {unit.source.name: unit.source for unit in examined.units}
    for gap in report.coverage.gaps:
        if gap.spot.kind is Kind.PLUGINS:
            continue
        message, code = _said(gap)
        if message:
            source = sources[gap.spot.file]
            found = source.finding(code, message, gap.spot.place, hint="write a test for it")
            yield replace(found, severity=Severity.WARNING)


def _said(gap: Gap) -> tuple[str, str]:
    spot = gap.spot
    if gap.unseen != spot.ways:
        return f"the tests never saw {_what(spot)} {' nor '.join(gap.unseen)}", "L2"
    # The parts of a condition that nothing evaluates go without saying.
    return ("" if spot.kind is Kind.PART else f"no test is about {_what(spot)}"), "L1"


def _what(spot: Spot) -> str:
    match spot.kind:
        case Kind.CONDITION:
            return f"the condition of {spot.name}"
        case Kind.PART:
            return "this part of the condition"
        case kind:
            return f"the {kind} {spot.name!r}"
