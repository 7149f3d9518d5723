"""Which plans are there, and which does each one extend?"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sidecar.policy.diagnostics import did_you_mean
from sidecar.policy.format import PlanSection
from sidecar.policy.source import Path
from sidecar.policy.unit import Unit

MAX_EXTENDS = 8


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A plan as one step of a lineage."""

    id: str
    section: PlanSection
    unit: Unit


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans of a directory, in file order, with the file of each."""

    units: Mapping[str, Unit]

    @classmethod
    def of(cls, units: Iterable[Unit]) -> "Plans":
        """Every plan of every file; a second one of the same id is reported."""
        owners: dict[str, Unit] = {}
        for unit in units:
            for name in unit.file.plans:
                first = owners.setdefault(name, unit)
                if first is not unit:
                    path: Path = ("plans", name)
                    where = first.where(path, key=True)
                    message = f"the plan {name!r} stands at {where} too"
                    unit.report("B4", message, path, hint="a plan stands in one file", key=True)
        return cls(owners)

    def own(self, unit: Unit) -> Iterable[tuple[str, PlanSection]]:
        """The plans of a file that no other file had first."""
        return [(name, it) for name, it in unit.file.plans.items() if self.units[name] is unit]

    def lineage(self, name: str) -> Sequence[Ancestor] | None:
        """A plan and those that it extends, itself first; None for a circle or too many."""
        lineage: list[Ancestor] = []
        current: str | None = name
        while current is not None and current in self.units:
            if len(lineage) > MAX_EXTENDS:
                return None
            unit = self.units[current]
            lineage.append(Ancestor(current, unit.file.plans[current], unit))
            current = lineage[-1].section.extends
        return lineage

    def is_whole(self, name: str) -> bool:
        """Whether a plan and all that it extends are there."""
        lineage = self.lineage(name) or ()
        return len(lineage) > 0 and lineage[-1].section.extends is None

    def ancestors(self, name: str | None) -> Collection[str]:
        """The plans that a plan extends, itself left out."""
        lineage = self.lineage(name) if name is not None else None
        return {ancestor.id for ancestor in (lineage or ())[1:]}

    def check(self, lost: Collection[str]) -> None:
        """Report what is wrong with `extends`, and plans that say nothing of plugins."""
        for name, unit in self.units.items():
            path: Path = ("plans", name)
            parent = unit.file.plans[name].extends
            if parent is not None and parent not in self.units:
                if parent not in lost:
                    hint = did_you_mean(parent, set(self.units) - {name})
                    unit.report("C1", f"no plan {parent!r}", (*path, "extends"), hint=hint)
                continue
            lineage = self.lineage(name)
            if lineage is None:
                message = f"the plan {name!r} extends itself, or more than {MAX_EXTENDS} plans"
                hint = self._circle(name)
                unit.report("C2", message, (*path, "extends"), hint=hint)
            elif all(_lacks_plugins(ancestor) for ancestor in lineage):
                message = f"the plan {name!r} does not say which plugins it includes"
                hint = 'write plugins: ["*"] for all, [] for none'
                unit.report("B2", message, path, hint=hint, key=True)

    def _circle(self, name: str) -> str:
        """`pro, team, pro`: the way round, as far as one can see it."""
        way = [name]
        while (parent := self.units[way[-1]].file.plans[way[-1]].extends) is not None:
            way.append(parent)
            if parent in way[:-1] or parent not in self.units or len(way) > 2 * MAX_EXTENDS:
                break
        return " extends ".join(way)


def _lacks_plugins(ancestor: Ancestor) -> bool:
    path: Path = ("plans", ancestor.id)
    # A broken `extends` may have led to a plan that says it.
    return (
        ancestor.unit.lacks((*path, "plugins"), ancestor.section.plugins)
        and not ancestor.unit.source.is_damaged((*path, "extends"))
    )  # fmt: skip
