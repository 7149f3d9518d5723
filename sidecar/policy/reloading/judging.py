"""May what stands in a directory be put in force? Only if it loads and its tests pass.

What is judged are the bytes of one time; if the tests, which read for themselves, may have seen
others, all of it begins again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from sidecar.domain.modes import Mode
from sidecar.domain.policies import Fault, FileDigest, Finding, InForce, PlanName, Tested
from sidecar.errors import ConfigurationError
from sidecar.policy.diagnostics import MOST_FINDINGS, Diagnostic, InvalidFiles
from sidecar.policy.reloading.contents import Contents, Origin, Unsettled, read, read_settled
from sidecar.policy.reloading.trial import Failed, try_tests
from sidecar.policy.snapshot import PolicySet

_ATTEMPTS: Final = 3

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
        return described(self.policies, self.contents.digests, self.tested, generation, loaded_at)


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
        for _ in range(_ATTEMPTS):
            contents = read_settled(origin)
            if contents == known:
                return None
            judged = _judged(origin, contents)
            if not contents.tests or read(origin) == contents:
                return judged
        return Refused(Fault.UNSETTLED, f"{origin.directory}: the files change during their tests")
    except Unsettled as error:
        return Refused(Fault.UNSETTLED, str(error))
    except ConfigurationError as error:
        return Refused(Fault.UNREADABLE, str(error))
    except Exception as error:  # noqa: BLE001  whatever it is, what is in force stays in force
        _log.error("policies_not_judged", exc_info=error)
        return Refused(Fault.DEFECT, f"{origin.directory}: cannot be judged: {error!r}")


def strictest(modes: Iterable[Mode]) -> Mode:
    """The strictest of some modes, off of none."""
    found = set(modes)
    return next((mode for mode in (Mode.ENFORCE, Mode.ADVISORY) if mode in found), Mode.OFF)


def described(
    policies: PolicySet,
    files: tuple[FileDigest, ...],
    tested: Tested | None,
    generation: int,
    loaded_at: datetime,
) -> InForce:
    """What can be told of policies that are in force."""
    plans = policies.plans
    return InForce(
        revision=policies.revision,
        generation=generation,
        loaded_at=loaded_at,
        mode=strictest(plan.mode for plan in plans),
        files=files,
        plans=tuple(PlanName(plan.id, plan.name, plan.mode) for plan in plans),
        rules=len({rule.id for plan in plans for rule in plan.rules}),
        limits=len({limit.limit.id for plan in plans for limit in plan.limits}),
        tested=tested,
    )


def _judged(origin: Origin, contents: Contents) -> Accepted | Refused:
    try:
        policies = contents.compiled(origin)
    except InvalidFiles as error:
        findings = tuple(map(finding_of, error.diagnostics))
        return Refused(Fault.INVALID, str(error), contents, findings, error.untold)
    tested = try_tests(origin) if contents.tests and origin.tests_s else None
    match tested:
        case Failed():
            told, untold = tested.findings[:MOST_FINDINGS], tested.findings[MOST_FINDINGS:]
            return Refused(tested.fault, tested.message, contents, told, len(untold))
        case _:
            return Accepted(policies, contents, tested)


def finding_of(diagnostic: Diagnostic) -> Finding:
    """A diagnostic as the API tells it."""
    return Finding(
        diagnostic.code, diagnostic.severity.value, diagnostic.message, diagnostic.file,
        diagnostic.line, diagnostic.column, diagnostic.path, diagnostic.hint,
    )  # fmt: skip
