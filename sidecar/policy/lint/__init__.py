"""What is legal in a policy directory, but surely not meant?"""

from collections.abc import Callable, Iterable
from datetime import datetime

from sidecar.policy.diagnostics import Diagnostic, in_order
from sidecar.policy.load import Examined

Check = Callable[[Examined, datetime], Iterable[Diagnostic]]
"""One group of checks: warnings about a directory that loads, at an instant."""

CHECKS: tuple[Check, ...] = ()
"""Every group; the order does not matter, findings are sorted by place."""


def lint(examined: Examined, today: datetime) -> tuple[Diagnostic, ...]:
    """Errors of a directory or, where it has none, all that looks like a mistake in it.

    Args:
        today: what dates are compared with.
    """
    if examined.policies is None:
        return in_order(examined.findings)
    found = [finding for check in CHECKS for finding in check(examined, today)]
    return in_order(dict.fromkeys(found))
