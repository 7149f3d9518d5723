"""What is legal in a policy directory, but surely not meant?"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from sidecar.policy.diagnostics import Diagnostic, in_order
from sidecar.policy.lint import (
    characters,
    dominated,
    families,
    globs,
    limits,
    logic,
    messages,
    meters,
    overrides,
    quoting,
    rollout,
    scalars,
    unused,
)
from sidecar.policy.lint.ignores import without_ignored
from sidecar.policy.load import Examined

Check = Callable[[Examined, datetime], Iterable[Diagnostic]]
"""One group of checks: warnings about a directory that loads, at an instant."""

CHECKS: Sequence[Check] = (
    characters.check,
    dominated.check,
    families.check,
    globs.check,
    limits.check,
    logic.check,
    messages.check,
    meters.check,
    overrides.check,
    quoting.check,
    rollout.check,
    scalars.check,
    unused.check,
)
"""Every group; the order does not matter, findings are sorted by place."""


def lint(
    examined: Examined,
    today: datetime,
    further: Iterable[Diagnostic] = (),
    *,
    unjudged: Sequence[str] = ("L1", "L2"),
) -> tuple[Diagnostic, ...]:
    """Errors of a directory or, where it has none, all that looks like a mistake in it.

    Args:
        today: what dates are compared with.
        further: what was found elsewhere, and can be ignored like the rest.
        unjudged: codes that nobody looked for.
    """
    if examined.policies is None:
        return in_order(examined.findings)
    found = [finding for check in CHECKS for finding in check(examined, today)]
    sources = [unit.source for unit in examined.units]
    return in_order(dict.fromkeys(without_ignored([*found, *further], sources, unjudged)))
