"""Does what expressions say make sense, each by itself and rules beside each other?"""

from collections.abc import Iterable
from datetime import datetime

from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.lint import conditions, expressions, redundant, rule_logic, words
from sidecar.policy.lint.statements import statements
from sidecar.policy.load import Examined


def check(examined: Examined, _: datetime) -> Iterable[Diagnostic]:
    """G5, G7, G9 to G13, H2 and I1 to I7; each expression is written out once for all of them."""
    all_said = tuple(statements(examined))
    yield from expressions.check(all_said)
    yield from words.check(examined, all_said)
    yield from redundant.check(all_said)
    yield from conditions.check(examined, all_said)
    yield from rule_logic.check(examined, all_said)
