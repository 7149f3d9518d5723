"""Which counters does a test fill that none of its cases looks at?"""

from collections.abc import Sequence
from dataclasses import replace

from sidecar.domain.wallet import WALLET
from sidecar.policy.source import Path
from sidecar.policy.testing.report import Outcome, Result
from sidecar.policy.testing.suites import Suite


def with_idle_counters(suite: Suite, path: Path, results: Sequence[Result]) -> Sequence[Result]:
    """The results of the test at a path; the first is an error where what is given cannot matter.

    A limit whose `when` does not choose the request may be told of: that it does not apply is
    what such a test shows.
    """
    decisions = [result.decision for result in results if result.decision is not None]
    plans = {decision.plan for decision in decisions if decision.plan is not None}
    if not plans:
        return results
    known = {
        limit.limit.id for plan in suite.policies.plans if plan.id in plans for limit in plan.limits
    }
    with_wallet = any(plan.wallet for plan in suite.policies.plans if plan.id in plans)
    known |= {WALLET} if with_wallet else set()
    given = suite.file.tests[int(path[1])].given
    names = " and ".join(sorted(plans))
    findings = tuple(
        suite.source.report(
            "L4", f"no limit of {names} is called {limit!r}, so nothing reads this counter",
            (*path, "given", kind, limit), key=True,
            hint="name a limit of the plan, or leave this out",
        )
        for kind in ("used", "reserved", "granted")
        for limit in getattr(given, kind)
        if limit not in known
    )  # fmt: skip
    if given.wallet is not None and not with_wallet:
        findings += (
            suite.source.report(
                "L4", f"no wallet in {names}, so nothing reads this balance",
                (*path, "given", "wallet"), key=True, hint="leave this out",
            ),
        )  # fmt: skip
    if not findings:
        return results
    first = results[0]
    return [
        replace(first, outcome=Outcome.ERROR, findings=(*first.findings, *findings)),
        *results[1:],
    ]
