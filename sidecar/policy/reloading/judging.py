"""May what stands in a directory be put in force? Only if it loads and its tests pass.

What is judged are the bytes of one time, whatever becomes of the files meanwhile.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import structlog

from sidecar.domain.modes import Mode
from sidecar.domain.policies import Fault, Finding, InForce, PlanName, Tested
from sidecar.errors import ConfigurationError
from sidecar.policy.diagnostics import MOST_FINDINGS, InvalidFiles
from sidecar.policy.reloading.contents import Contents, Origin, Unsettled, read_settled
from sidecar.policy.reloading.tried import Failed, finding_of, try_tests
from sidecar.policy.snapshot import PolicySet

_log = structlog.get_logger("sidecar.policies")


@dataclass(frozen=True, slots=True)
class Accepted:
    """Content that may be put in force.

    Attributes:
        tested: None where no test was run.
    """

    policies: PolicySet
    contents: Contents
    tested: Tested | None = None

    def described(self, generation: int, loaded_at: datetime) -> InForce:
        """What can be told of it once it is in force."""
        plans = self.policies.plans
        return InForce(
            revision=self.policies.revision,
            generation=generation,
            loaded_at=loaded_at,
            mode=strictest(plan.mode for plan in plans),
            files=self.contents.digests,
            plans=tuple(PlanName(plan.id, plan.name, plan.mode) for plan in plans),
            rules=len({rule.id for plan in plans for rule in plan.rules}),
            limits=len({limit.limit.id for plan in plans for limit in plan.limits}),
            tested=self.tested,
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """Content that may not; see `Rejection`.

    Attributes:
        contents: None where it could not be read.
    """

    fault: Fault
    message: str
    contents: Contents | None = None
    findings: tuple[Finding, ...] = ()
    untold: int = 0


def judge(origin: Origin, known: Contents | None = None) -> Accepted | Refused | None:
    """What stands there now, judged; it may take a second for each thousand rules.

    Args:
        known: what is in force; the same content again is None.
    """
    try:
        contents = read_settled(origin)
    except Unsettled as error:
        return Refused(Fault.UNSETTLED, str(error))
    except ConfigurationError as error:
        return Refused(Fault.UNREADABLE, str(error))
    if contents == known:
        return None
    try:
        return _judged(origin, contents)
    except Exception as error:  # noqa: BLE001  whatever it is, what is in force stays in force
        _log.error("policies_not_judged", exc_info=error)
        return Refused(Fault.DEFECT, f"{origin.directory}: cannot be judged: {error!r}", contents)


def strictest(modes: Iterable[Mode]) -> Mode:
    """The strictest of some modes, off of none."""
    found = set(modes)
    return next((mode for mode in (Mode.ENFORCE, Mode.ADVISORY) if mode in found), Mode.OFF)


def _judged(origin: Origin, contents: Contents) -> Accepted | Refused:
    try:
        policies = contents.compiled(origin)
    except InvalidFiles as error:
        findings = tuple(map(finding_of, error.diagnostics))
        return Refused(Fault.INVALID, str(error), contents, findings, error.untold)
    tested = try_tests(contents, policies.prices, origin.tests_s)
    match tested:
        case Failed():
            told, untold = tested.findings[:MOST_FINDINGS], tested.findings[MOST_FINDINGS:]
            return Refused(tested.fault, tested.message, contents, told, len(untold))
        case _:
            return Accepted(policies, contents, tested)
