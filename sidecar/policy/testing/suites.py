"""From test files to suites that can be run, or to everything that is wrong with them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.domain.modes import Ceiling
from sidecar.errors import ConfigurationError
from sidecar.policy.diagnostics import Diagnostic, InvalidPrices, did_you_mean
from sidecar.policy.files import source_of
from sidecar.policy.lineage import Plans
from sidecar.policy.load import Examined, examine_contents
from sidecar.policy.price_file import load_prices
from sidecar.policy.prices import PriceList
from sidecar.policy.reader import Form, read_form
from sidecar.policy.snapshot import PolicySet
from sidecar.policy.source import SourceFile
from sidecar.policy.testing.format import SuiteFile
from sidecar.policy.testing.references import check_references

Contents = Sequence[tuple[Path, bytes]]
"""Files with what they held when they were read."""

_FORM = Form(
    SuiteFile,
    {"apiVersion": "sidecar/v1", "kind": "PolicyTest", "tests": []},
    {},
    {
        "name": "write name: and what the test shows",
        "check": "write check: {app_id: acme, user_id: bob}, and what is asked for",
        "expect": "write expect: {effect: allow}, or what else the answer is",
        "status": "write status: active, or what the billing side said",
        "tests": "write tests: and a list of tests, each with name, check and expect",
        "metadata": "",
    },
)


@dataclass(frozen=True, slots=True)
class Suite:
    """One test file with the policies that it is about.

    Attributes:
        unconditional: the rules that have no `when`.
        plugins_of: by plan, the one of its lineage whose `plugins` it has.
    """

    source: SourceFile
    file: SuiteFile
    policies: PolicySet
    plugins_of: Mapping[str, str]
    unconditional: Collection[str] = field(init=False)

    def __post_init__(self) -> None:
        rules = (rule for plan in self.policies.plans for rule in plan.rules)
        unconditional = frozenset(rule.id for rule in rules if rule.when is None)
        object.__setattr__(self, "unconditional", unconditional)


@dataclass(frozen=True, slots=True)
class Suites:
    """The tests of a directory.

    Attributes:
        findings: what is wrong with policies or tests; where there is any, nothing can be run.
        examined: all policies of the directory together.
    """

    suites: Sequence[Suite]
    findings: Sequence[Diagnostic]
    examined: Examined


class _Sets:
    """The policies of a directory, or some of its files, compiled once for each choice."""

    def __init__(self, contents: Contents, ceiling: Ceiling) -> None:
        self._contents = contents
        self._ceiling = ceiling
        self._known: dict[tuple[frozenset[str] | None, bytes], Examined] = {}

    @property
    def names(self) -> Sequence[str]:
        """The files that there are."""
        return [file.name for file, _ in self._contents]

    def examined(self, names: Sequence[str] | None, prices: PriceList | None) -> Examined:
        """What these files say together; None is all of them."""
        chosen = None if names is None else frozenset(names)
        key = (chosen, b"" if prices is None else prices.digest)
        if key not in self._known:
            contents = [it for it in self._contents if chosen is None or it[0].name in chosen]
            self._known[key] = examine_contents(contents, ceiling=self._ceiling, prices=prices)
        return self._known[key]


def read_suites(
    policies: Contents, tests: Contents, ceiling: Ceiling, prices: PriceList | None = None
) -> Suites:
    """The test files of a directory with their policies, and everything that is wrong.

    Args:
        prices: of models, for test files that name none.
    """
    sets = _Sets(policies, ceiling)
    findings: list[Diagnostic] = []
    read: list[tuple[SourceFile, SuiteFile, PriceList | None]] = []
    for file, content in tests:
        source = source_of(file, content, kind="PolicyTest")
        if isinstance(source, Diagnostic):
            findings.append(source)
            continue
        suite, wrong = read_form(source, _FORM)
        findings.extend(wrong)
        if suite is not None:
            own = _prices(source, suite, file, findings)
            read.append((source, suite, own or prices))
    # One set of prices is as good as another to see whether the whole directory loads.
    whole = sets.examined(None, next((own for *_, own in read if own is not None), prices))
    findings.extend(whole.findings)
    suites = []
    for source, suite, own in read:
        unknown = _unknown_files(source, suite, sets.names)
        findings.extend(unknown)
        if unknown or whole.policies is None:
            continue
        examined = sets.examined(suite.policies, own)
        findings.extend(found for found in examined.findings if found not in findings)
        if examined.policies is not None:
            findings.extend(check_references(source, suite, examined))
            suites.append(Suite(source, suite, examined.policies, _plugins_of(examined.plans)))
    return Suites(suites, findings, whole)


def _plugins_of(plans: Plans) -> Mapping[str, str]:
    return {
        name: ancestor.id
        for name in plans.units
        # The nearest is put in last, and stays.
        for ancestor in reversed(plans.lineage(name) or ())
        if ancestor.section.plugins is not None
    }


def _prices(
    source: SourceFile, suite: SuiteFile, file: Path, findings: list[Diagnostic]
) -> PriceList | None:
    if suite.prices is None:
        return None
    try:
        return load_prices(file.parent / suite.prices)
    except InvalidPrices as error:
        findings.extend(error.diagnostics)
    except ConfigurationError:
        message = f"no price file {suite.prices!r}"
        hint = "it is named as it lies from here, as ../prices.yaml"
        findings.append(source.report("L4", message, ("prices",), hint=hint))
    return None


def _unknown_files(
    source: SourceFile, suite: SuiteFile, names: Sequence[str]
) -> Sequence[Diagnostic]:
    return [
        source.report(
            "L4", f"no policy file {name!r} beside this one", ("policies", index),
            hint=did_you_mean(name, names),
        )
        for index, name in enumerate(suite.policies or ())
        if name not in names
    ]  # fmt: skip
