"""What is wrong with the policies of a path and with the tests beside them?"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sidecar.domain.modes import Ceiling
from sidecar.errors import ConfigurationError
from sidecar.policy.diagnostics import Diagnostic, Severity, in_order
from sidecar.policy.files import content_of
from sidecar.policy.lint import lint
from sidecar.policy.lint.untested import untested
from sidecar.policy.load import Examined, policy_files, test_files
from sidecar.policy.prices import PriceList
from sidecar.policy.testing import run_contents
from sidecar.policy.testing.suites import Contents, Suites, read_suites


@dataclass(frozen=True, slots=True)
class Inspected:
    """A directory with its tests, as it was found.

    Attributes:
        path: of the directory, or of the one policy.
        suites: its tests, and everything that is wrong with them and with the policies.
    """

    path: Path
    policies: Contents
    tests: Contents
    suites: Suites
    prices: PriceList | None

    @property
    def examined(self) -> Examined:
        """What the policies say."""
        return self.suites.examined

    @property
    def mistakes(self) -> Sequence[Diagnostic]:
        """What keeps policies from loading or tests from running."""
        return in_order(self.suites.findings)


def inspected(path: Path, prices: PriceList | None = None) -> Inspected:
    """The files of a directory, or one of them: a policy alone, or a test with all it is about.

    Raises:
        ConfigurationError: there is nothing to load.
    """
    directory = path.parent if path in test_files(path.parent) else path
    policies = [(file, content_of(file)) for file in policy_files(directory)]
    tests = [(file, content_of(file)) for file in test_files(directory)]
    suites = read_suites(policies, tests, Ceiling.AS_WRITTEN, prices)
    return Inspected(directory, policies, tests, suites, prices)


def warned(it: Inspected, today: datetime, *, require_tests: bool) -> tuple[Diagnostic, ...]:
    """Its mistakes and, where the policies load, all that looks like one.

    Args:
        today: what dates are compared with.
        require_tests: whether what no test shows is wrong too.
    """
    if it.examined.policies is None:
        return tuple(it.mistakes)
    further = [*it.mistakes, *_in_rooms_below(it.path)]
    unjudged: tuple[str, ...] = ("L1", "L2")
    if require_tests and not it.mistakes:
        report = run_contents(it.policies, it.tests, prices=it.prices)
        unclear = [found for result in report.results for found in result.findings]
        further += unclear
        if not unclear:
            # What tests that cannot be judged have seen is not known.
            further += untested(it.examined, report)
            unjudged = ()
    return lint(it.examined, today, further, unjudged=unjudged)


def _in_rooms_below(path: Path) -> Iterator[Diagnostic]:
    """Policies that nobody reads, because they are not in the directory itself."""
    if not path.is_dir():
        return
    rooms = (room for room in sorted(path.iterdir()) if room.is_dir() and room.name[0] != ".")
    for file in (file for room in rooms for file in sorted(room.glob("*.y*ml"))):
        with suppress(ConfigurationError):
            yield from _declared_a_policy(file)


def _declared_a_policy(file: Path) -> Iterator[Diagnostic]:
    for number, line in enumerate(content_of(file).splitlines(), 1):
        if line.split()[:2] == [b"kind:", b"Policy"]:
            message = "this policy is read by nobody: it lies below the directory of the others"
            hint = "put it beside them, or serve it by itself"
            yield Diagnostic(
                "A7", message, str(file), number, 1, len(line), hint,
                source_line=line.decode("utf-8", "replace"), severity=Severity.WARNING,
            )  # fmt: skip
