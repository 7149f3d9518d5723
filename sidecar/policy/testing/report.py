"""What came of the tests of a directory?"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sidecar.domain.decision import Decision
from sidecar.domain.explanation import Explanation
from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.testing.comparing import Difference
from sidecar.policy.testing.coverage import Coverage


class Outcome(StrEnum):
    """An error is a case that cannot be judged: it does not state what an expression reads."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """One case and what came of it.

    Attributes:
        file, line: where the test stands.
        differences: what is not as expected.
        findings: why it cannot be judged; a warning is no reason not to.
        decision: the answer, None where it was not asked for.
        explanation: of an answer that is not as expected, as far as it has to do with that.
        skipped: the reason for leaving it out.
    """

    file: str
    line: int
    name: str
    outcome: Outcome
    differences: Sequence[Difference] = ()
    findings: Sequence[Diagnostic] = ()
    decision: Decision | None = None
    explanation: Explanation | None = None
    skipped: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """The tests of a directory.

    Attributes:
        files: the test files, in order.
        findings: what is wrong with policies or tests; where there is any, nothing was run.
        unfinished: cases for which there was no time.
    """

    files: Sequence[str]
    results: Sequence[Result] = ()
    coverage: Coverage = field(default_factory=Coverage)
    findings: Sequence[Diagnostic] = ()
    unfinished: int = 0

    @property
    def failures(self) -> Sequence[Result]:
        """Cases that failed or could not be judged."""
        return [it for it in self.results if it.outcome in (Outcome.FAILED, Outcome.ERROR)]

    @property
    def passed(self) -> Sequence[Result]:
        """Cases that are as expected."""
        return [it for it in self.results if it.outcome is Outcome.PASSED]

    @property
    def skipped(self) -> Sequence[Result]:
        """Cases that are left out, with a reason."""
        return [it for it in self.results if it.outcome is Outcome.SKIPPED]

    @property
    def is_good(self) -> bool:
        """Whether all files load and all tests ran and are as expected; without any, too."""
        return not self.findings and not self.failures and not self.unfinished
