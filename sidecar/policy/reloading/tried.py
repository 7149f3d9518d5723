"""Do the tests beside the policies pass, within the time that they have?"""

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.domain.policies import Fault, Finding, Tested
from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.prices import PriceList
from sidecar.policy.reloading.contents import Contents
from sidecar.policy.testing.report import Report, Result
from sidecar.policy.testing.running import run_contents

_NO_CODE = "TEST"
_HINT = "if the policy is as it is meant, adapt its tests or remove them"


@dataclass(frozen=True, slots=True)
class Failed:
    """Tests that did not pass, or did not end."""

    fault: Fault
    message: str
    findings: tuple[Finding, ...] = ()


def try_tests(
    contents: Contents, prices: PriceList | None, time_s: float
) -> Tested | Failed | None:
    """Run them on the files as they are written; None if there is none, or no time for any."""
    if not contents.tests or not time_s:
        return None
    report = run_contents(contents.policies, contents.tests, prices=prices, time_cap_s=time_s)
    findings = tuple(_findings(report))
    if findings:
        lines = [f"{it.file}:{it.line}: {it.message}" for it in findings]
        if any(it.hint == _HINT for it in findings):
            lines.append(_HINT)
        return Failed(Fault.TESTS_FAILED, "\n".join(lines), findings)
    if report.unfinished:
        message = (
            f"the tests took longer than {time_s:g} s and {report.unfinished:,} were not run: give "
            "them more with SIDECAR_POLICY_TESTS_S"
        )
        return Failed(Fault.TESTS_TOO_SLOW, message)
    return Tested(passed=len(report.passed), skipped=len(report.skipped))


def finding_of(diagnostic: Diagnostic) -> Finding:
    """A diagnostic as the API tells it."""
    return Finding(
        diagnostic.code, diagnostic.severity.value, diagnostic.message, diagnostic.file,
        diagnostic.line, diagnostic.column, diagnostic.path, diagnostic.hint,
    )  # fmt: skip


def _findings(report: Report) -> Iterator[Finding]:
    yield from map(finding_of, report.findings)
    for failed in report.failures:
        yield from map(finding_of, failed.findings)
        if failed.differences:
            words = _in_words(failed)
            yield Finding(_NO_CODE, "error", words, failed.file, failed.line, 1, hint=_HINT)


def _in_words(failed: Result) -> str:
    """`free user over the month: effect: expected deny, got allow`."""
    unlike = "; ".join(
        f"{it.field}: expected {it.expected}, got {it.got}" for it in failed.differences
    )
    return f"{failed.name}: {unlike}"
