"""A policy and its tests, written down and run."""

from pathlib import Path
from textwrap import dedent

from sidecar.policy.testing import Report, Result, run_tests
from tests.unit.world import write

POLICY = """
    mode: enforce
    defaults: {plan: free, failure_mode: closed}
    plans:
      free:
        plugins: ["basic_*"]
        tokens_per_month: 10000
        limits:
          - {id: burst, meter: tokens, max: 2000, window: 1m, status: 429, mode: advisory}
      pro: {extends: free, plugins: ["*"], tokens_per_month: 100000}
    """
"""Two plans; what is over the month is refused, what is over the minute is warned of."""


def report_of(
    directory: Path, policy: str, tests: str, *, now: str = "2026-05-05T21:30:00Z"
) -> Report:
    """The report of a directory with one policy and one test file.

    Args:
        tests: the file without its head.
    """
    write(directory, policy)
    head = "apiVersion: sidecar/v1\nkind: PolicyTest\n" + (f'now: "{now}"\n' if now else "")
    directory.joinpath("policy_test.yaml").write_text(head + dedent(tests), encoding="utf-8")
    return run_tests(directory)


def one(report: Report) -> Result:
    """The only result of a report whose files load."""
    assert report.findings == (), "\n".join(map(str, report.findings))
    (result,) = report.results
    return result


def case(
    directory: Path,
    policy: str,
    *,
    expect: str,
    given: str = "{}",
    check: str = "{app_id: acme, user_id: bob}",
    now: str = "2026-05-05T21:30:00Z",
) -> Result:
    """The result of one test with one case."""
    tests = f"tests:\n  - name: it\n    given: {given}\n    check: {check}\n    expect: {expect}\n"
    return one(report_of(directory, policy, tests, now=now))


def unlike(result: Result) -> dict[str, tuple[str, str]]:
    """By field, what was expected and what was the case."""
    return {it.field: (it.expected, it.got) for it in result.differences}


def mistakes(report: Report) -> list[str]:
    """What is wrong with the files, as `policy_test.yaml:3:9 L4 message (hint)`."""
    return [
        f"{Path(it.file).name}:{it.line}:{it.column} {it.code} {it.message} ({it.hint})"
        for it in report.findings
    ]
