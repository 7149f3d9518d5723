"""Do the tests of a policy directory hold?"""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from sidecar.domain.modes import Ceiling
from sidecar.errors import ConfigurationError
from sidecar.policy.diagnostics import Severity, in_order
from sidecar.policy.files import content_of
from sidecar.policy.load import policy_files, test_files
from sidecar.policy.prices import PriceList
from sidecar.policy.source import Path as SourcePath
from sidecar.policy.testing.cases import TIMELESS, Case, cases_of
from sidecar.policy.testing.comparing import differences
from sidecar.policy.testing.coverage import coverage_of
from sidecar.policy.testing.idle import with_idle_counters
from sidecar.policy.testing.lacking import lacking
from sidecar.policy.testing.observing import Observed, observe
from sidecar.policy.testing.report import Outcome, Report, Result
from sidecar.policy.testing.spots import Key, spots_of
from sidecar.policy.testing.suites import Contents, Suite, read_suites
from sidecar.policy.testing.telling import told_of
from sidecar.policy.trial import decide

Wanted = Callable[[str, str], bool]
"""Whether a case is wanted, by the name of its file and its own."""
Seconds = Callable[[], float]


def run_tests(
    path: Path,
    *,
    ceiling: Ceiling = Ceiling.AS_WRITTEN,
    prices: PriceList | None = None,
    time_cap_s: float | None = None,
    wanted: Wanted = lambda file, name: True,
    seconds: Seconds = time.monotonic,
) -> Report:
    """Run the tests of a directory, or one test file, on the policies beside them.

    Args:
        ceiling: tests say what files mean by themselves, so that of an operator is seldom meant.
        prices: of models, for test files that name none.
        time_cap_s: after so many seconds no further case is begun.
        seconds: a clock that only ever grows.

    Raises:
        ConfigurationError: there is no such directory or file, or no policy in it.
    """
    tests = _tests_at(path)
    directory = path if path.is_dir() else path.parent
    policies = [(file, content_of(file)) for file in policy_files(directory)]
    return run_contents(
        policies,
        [(file, content_of(file)) for file in tests],
        ceiling=ceiling,
        prices=prices,
        time_cap_s=time_cap_s,
        wanted=wanted,
        seconds=seconds,
    )


def run_contents(
    policies: Contents,
    tests: Contents,
    *,
    ceiling: Ceiling = Ceiling.AS_WRITTEN,
    prices: PriceList | None = None,
    time_cap_s: float | None = None,
    wanted: Wanted = lambda file, name: True,
    seconds: Seconds = time.monotonic,
) -> Report:
    """The same of files that were read before, whatever stands there now; see `run_tests`."""
    read = read_suites(policies, tests, ceiling, prices)
    files = [str(file) for file, _ in tests]
    if read.findings:
        return Report(files, findings=in_order(read.findings))
    began = seconds()
    results: list[Result] = []
    seen: list[tuple[Key, str]] = []
    unfinished = 0
    for suite, path, cases in _chosen(read.suites, wanted):
        ran = []
        for case in cases:
            if time_cap_s is not None and seconds() - began > time_cap_s:
                unfinished += 1
                continue
            ran.append(_run(suite, case, seconds))
        results += with_idle_counters(suite, path, [result for result, _ in ran])
        seen += [each for _, observed in ran for each in observed.seen]
    return Report(files, results, coverage_of(spots_of(read.examined), seen), (), unfinished)


def _chosen(
    suites: Iterable[Suite], wanted: Wanted
) -> Iterator[tuple[Suite, SourcePath, list[Case]]]:
    """The tests that are wanted, each with its path and its cases."""
    for suite in suites:
        for index, scenario in enumerate(suite.file.tests):
            cases = cases_of(scenario, ("tests", index), suite.file)
            chosen = [case for case in cases if wanted(suite.source.name, case.name)]
            if chosen:
                yield suite, ("tests", index), chosen


def _run(suite: Suite, case: Case, seconds: Seconds) -> tuple[Result, Observed]:
    began = seconds()
    source, policies = suite.source, suite.policies
    line = source.place((*case.path, "name")).line
    if case.skip:
        skipped = Result(source.name, line, case.name, Outcome.SKIPPED, skipped=case.skip)
        return skipped, Observed()
    now = case.now or TIMELESS
    trial = decide(policies, case.request, case.subscription, case.told, now)
    observed = observe(suite, case, trial)
    findings = tuple(lacking(source, policies, case, trial, observed))
    unlike = tuple(differences(policies, case, trial))
    is_unclear = any(found.severity is Severity.ERROR for found in findings)
    outcome = Outcome.ERROR if is_unclear else Outcome.FAILED if unlike else Outcome.PASSED
    result = Result(
        file=source.name,
        line=line,
        name=case.name,
        outcome=outcome,
        differences=unlike,
        findings=findings,
        decision=trial.decision,
        explanation=told_of(suite, case, trial) if unlike else None,
        seconds=seconds() - began,
    )
    return result, observed


def _tests_at(path: Path) -> list[Path]:
    if path.is_dir():
        return test_files(path)
    if not path.exists():
        raise ConfigurationError(f"{path}: there is no such file or directory")
    beside = test_files(path.parent)
    if path.name not in {file.name for file in beside}:
        raise ConfigurationError(
            f"{path}: this is no test file: name a directory, or a file that ends in _test.yaml"
        )
    return [path]
