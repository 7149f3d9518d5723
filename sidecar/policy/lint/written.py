"""What do plans and rules say, each with its place and its file?"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sidecar.domain.limits import Dimension
from sidecar.domain.modes import Mode
from sidecar.domain.windows import Fixed, Window, parse_window
from sidecar.policy.conditions import Condition
from sidecar.policy.format import LimitSection, OverrideSection, RuleSection
from sidecar.policy.limits import limits_of, written_limits
from sidecar.policy.load import Examined
from sidecar.policy.source import Path
from sidecar.policy.unit import Unit


@dataclass(frozen=True, slots=True)
class WrittenLimit:
    """A limit where a plan writes it.

    Attributes:
        path: of the limit, or of the plan's `tokens_per_month`.
        when: its condition, None where it counts everything.
    """

    plan: str
    section: LimitSection
    unit: Unit
    path: Path

    @property
    def id(self) -> str:
        """Its name."""
        return self.section.id

    @property
    def when(self) -> Condition | None:
        """Its condition, None where it counts everything."""
        return self.unit.expressions.get((*self.path, "when"))

    @property
    def window(self) -> Window:
        """The time over which it counts."""
        return parse_window(self.section.window or "") or Fixed.LIFETIME

    @property
    def per(self) -> frozenset[Dimension]:
        """For what it counts apart; the app is always among them."""
        return frozenset({*self.section.per, Dimension.APP})

    @property
    def mode(self) -> Mode:
        """How strict it is, as the files say."""
        return narrowed(self.unit, self.section.mode)

    @property
    def is_short(self) -> bool:
        """Whether it is written as `tokens_per_month`."""
        return self.path[-1] == "tokens_per_month"

    def at(self, field: str) -> Path:
        """The path of one of its fields, of all of it where it is short or lacks the field."""
        path = (*self.path, field)
        return self.path if self.is_short or self.unit.source.node(path) is None else path


@dataclass(frozen=True, slots=True)
class WrittenRule:
    """A rule where a file writes it.

    Attributes:
        plans: those whose requests it looks at.
    """

    section: RuleSection
    unit: Unit
    path: Path
    plans: Sequence[str]

    @property
    def id(self) -> str:
        """Its name."""
        return self.section.id

    @property
    def mode(self) -> Mode:
        """How strict it is, as the files say."""
        return narrowed(self.unit, self.section.mode)


@dataclass(frozen=True, slots=True)
class WrittenOverride:
    """An override where a file writes it."""

    section: OverrideSection
    unit: Unit
    path: Path


Counter = tuple[str, frozenset[Dimension], Window]
"""What is counted, for what, and over which time."""
Counting = Sequence[tuple[WrittenLimit, Counter]]


def narrowed(unit: Unit, own: Mode | None) -> Mode:
    """The mode of a part of a file, by what is written alone."""
    return unit.file.mode if own is None else unit.file.mode.narrowed(own)


def rules(examined: Examined) -> Iterator[WrittenRule]:
    """All rules, in order of files."""
    everybody = tuple(examined.plans.units)
    for unit in examined.units:
        for index, section in enumerate(unit.file.rules):
            plans = section.match.plans
            chosen = everybody if plans is None else tuple(dict.fromkeys(plans))
            yield WrittenRule(section, unit, ("rules", index), chosen)


def overrides(examined: Examined) -> Iterator[WrittenOverride]:
    """All overrides, in order of files."""
    for unit in examined.units:
        for index, section in enumerate(unit.file.overrides):
            yield WrittenOverride(section, unit, ("overrides", index))


def limits(examined: Examined) -> Iterator[WrittenLimit]:
    """All limits that plans write down themselves."""
    for name, unit in examined.plans.units.items():
        for section, path in written_limits(name, unit.file.plans[name]):
            yield WrittenLimit(name, section, unit, path)


def in_force(examined: Examined, plan: str) -> Sequence[WrittenLimit]:
    """The limits of a plan with all that it inherits."""
    by_name = {
        (ancestor.id, section.id): WrittenLimit(ancestor.id, section, ancestor.unit, path)
        for ancestor in examined.plans.lineage(plan) or ()
        for section, path in written_limits(ancestor.id, ancestor.section)
    }
    chosen = limits_of(examined.plans, plan).items()
    return [by_name[writer, limit] for limit, (writer, _) in chosen]


def counters(limits: Iterable[WrittenLimit]) -> Counting:
    """What limits without a condition read."""
    unconditional = [limit for limit in limits if limit.when is None]
    return [(it, (it.section.meter.value, it.per, it.window)) for it in unconditional]
