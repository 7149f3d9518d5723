"""Do the files of a directory fit together, and what do they compile to?

Files are read one by one elsewhere; here ids, plans, rules and overrides meet. Every finding
of every file is collected before anything is refused.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sidecar.cel import DYN, Budget, Program, over_budget
from sidecar.domain.modes import Ceiling, FailureMode, Mode
from sidecar.domain.request import MeterKind
from sidecar.domain.subscription import Terms
from sidecar.domain.windows import rough_length_ms
from sidecar.policy.compiled import (
    CompiledLimit,
    CompiledPlan,
    Concerns,
    Fusing,
    PlanPlaces,
)
from sidecar.policy.conditions import Scope, plan_type
from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.directory import default_plan, subscription_terms
from sidecar.policy.format import PluginsSection, PolicyFile
from sidecar.policy.globs import Globs
from sidecar.policy.limits import (
    compile_limit,
    failing,
    limits_always_read,
    limits_of,
    refuse_cost,
    written_limits,
)
from sidecar.policy.lineage import Ancestor, Plans
from sidecar.policy.names import Ids
from sidecar.policy.overrides import compile_overrides
from sidecar.policy.rules import PlannedRule, compile_rules
from sidecar.policy.source import Path, SourceFile
from sidecar.policy.unit import Unit
from sidecar.policy.wallets import compiled_wallet, refuse_unpriced

Limits = Mapping[tuple[str, str], CompiledLimit]
"""Limits by the plan that writes them and their id."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A directory after compilation.

    Attributes:
        rules: of all plans, in file order.
        ceiling: what the operator's settings do to modes.
    """

    plans: Mapping[str, CompiledPlan]
    rules: Sequence[PlannedRule]
    default_plan: str | None
    terms: Terms
    mode: Mode
    failure_mode: FailureMode
    ceiling: Ceiling


@dataclass(frozen=True, slots=True)
class Compilation:
    """What became of the files of a directory.

    Attributes:
        compiled: None where something is wrong.
        units: one for each file, with what was found wrong in it.
        plans: as they are written, by name.
    """

    compiled: Compiled | None
    units: Sequence[Unit]
    plans: Plans

    @property
    def findings(self) -> Sequence[Diagnostic]:
        """Everything that is wrong between the files."""
        return [finding for unit in self.units for finding in unit.findings]


def compile_files(
    files: Sequence[tuple[SourceFile, PolicyFile]],
    ceiling: Ceiling,
    lost: Collection[str] = (),
    *,
    counts_cost: bool = False,
) -> Compilation:
    """Policies from files that could be read, or everything that is wrong between them.

    Args:
        ceiling: what the operator's settings do to the modes that files state.
        lost: ids that stand in what could not be read; what refers to them is not blamed.
        counts_cost: whether there are prices.
    """
    units = _units(files, ceiling, lost)
    plans = Plans.of(units)
    plans.check(lost)
    always = limits_always_read(plans, plans.units, lost)
    for unit in units:
        _declare_variables(unit, always)
    ids = Ids(plans)
    limits = _limits(units, plans, ids, lost, counts_cost)
    rules = [rule for unit in units for rule in compile_rules(unit, ids, plans, lost)]
    refuse_unpriced(units, plans, ids, counts_cost=counts_cost)
    ids.refuse_shared()
    default, mode, failure_mode = default_plan(units, plans.units, lost)
    terms = subscription_terms(units, plans.units, lost)
    if lost or any(unit.findings for unit in units):
        return Compilation(None, units, plans)
    features = _features(files)
    fusing = Fusing()
    compiled = {name: _plan(plans, name, limits, rules, features, fusing) for name in plans.units}
    for name, plan in compiled.items():
        _refuse_costly(plans.units[name], plan)
    whole = Compiled(compiled, rules, default, terms, mode, failure_mode, ceiling)
    return Compilation(whole, units, plans)


def _units(
    files: Sequence[tuple[SourceFile, PolicyFile]], ceiling: Ceiling, lost: Collection[str]
) -> Sequence[Unit]:
    features = _features(files)
    plan = plan_type([name for _, file in files for name in file.plans], features)
    limits = frozenset(
        section.id
        for _, file in files
        for name, plan_section in file.plans.items()
        for section, _ in written_limits(name, plan_section)
    )
    wallets = bool(lost) or any(
        plan_section.wallet is not None for _, file in files for plan_section in file.plans.values()
    )
    return [
        Unit(
            source,
            file,
            Scope(file.constants, plan, limits, features, lost, wallets),
            ceiling.over(file.mode),
        )
        for source, file in files
    ]


def _features(files: Iterable[tuple[SourceFile, PolicyFile]]) -> frozenset[str]:
    """The features that some plan names: an expression may ask every plan for each of them."""
    return frozenset(
        name for _, file in files for plan in file.plans.values() for name in plan.features
    )


def _declare_variables(unit: Unit, present: Collection[tuple[str, ...]]) -> None:
    scope = unit.scope
    scope.below.update(variable.name for variable in unit.file.variables)
    for index, variable in enumerate(unit.file.variables):
        path: Path = ("variables", index)
        if variable.name in scope.variables or variable.name in scope.broken:
            message = f"the variable {variable.name!r} is declared twice"
            unit.report("C3", message, (*path, "name"), hint="choose another name")
            continue
        scope.below.discard(variable.name)
        compiled = unit.expression((*path, "expr"), variable.expr, DYN, present=present)
        scope.declare(variable.name, compiled)


def _limits(
    units: Sequence[Unit], plans: Plans, ids: Ids, lost: Collection[str], counts_cost: bool
) -> Limits:
    written = [
        (unit, name, section, path)
        for unit in units
        for name, plan in plans.own(unit)
        for section, path in written_limits(name, plan)
    ]
    known = {section.id for _, _, section, _ in written}
    overrides = compile_overrides(units, ids, known, lost)
    limits = {}
    for unit, plan, section, path in written:
        at = path if path[-1] == "tokens_per_month" else (*path, "id")
        ids.claim(unit, section.id, "limit", at, plan=plan)
        if section.meter is MeterKind.COST and not counts_cost:
            refuse_cost(unit, path)
        limits[plan, section.id] = compile_limit(unit, section, path, overrides)
    return limits


def _plan(
    plans: Plans,
    name: str,
    limits: Limits,
    rules: Sequence[PlannedRule],
    named: Collection[str],
    fusing: Fusing,
) -> CompiledPlan:
    """A plan with all that it inherits, the farthest ancestor first.

    Args:
        named: the features that some plan names; expressions find each of them in every plan.
    """
    unit, lineage = plans.units[name], plans.lineage(name) or ()
    said = next((it.section.failure_mode for it in lineage if it.section.failure_mode), None)
    own = [
        failing(limits[writer, limit], section, said)
        for limit, (writer, section) in limits_of(plans, name).items()
    ]
    failure_mode = said or unit.file.defaults.failure_mode
    features: dict[str, bool] = {}
    for ancestor in reversed(lineage):
        features.update(ancestor.section.features)
    others = features.get("*", False)
    seen = {feature: features.get(feature, others) for feature in named}
    writer, plugins = next(
        (it, it.section.plugins) for it in lineage if it.section.plugins is not None
    )
    display_name = lineage[0].section.name or name
    concerned = tuple(planned.rule for planned in rules if planned.is_for(name))
    return CompiledPlan(
        id=name,
        name=display_name,
        mode=unit.mode,
        failure_mode=failure_mode,
        plugins_allow=Globs(plugins.allow),
        plugins_deny=Globs(plugins.deny),
        features=features,
        limits=tuple(sorted(own, key=lambda it: rough_length_ms(it.limit.window), reverse=True)),
        rules=concerned,
        facts={"id": name, "name": display_name, "features": seen},
        origin=unit.origin(("plans", name), key=True),
        places=_places(lineage, writer, plugins),
        concerns=Concerns(concerned, fusing),
        is_local=FailureMode.LOCAL in {failure_mode, *(it.limit.failure_mode for it in own)},
        wallet=compiled_wallet(lineage),
    )


def _places(lineage: Sequence[Ancestor], writer: Ancestor, plugins: PluginsSection) -> PlanPlaces:
    """Where the plugins and features of a plan are named; `writer` writes the plugins."""
    unit, at = writer.unit, ("plans", writer.id, "plugins")
    # A bare list is short for one under `allow`.
    allow: Path = at if unit.source.node((*at, 0)) is not None else (*at, "allow")
    features = {
        feature: ancestor.unit.origin(("plans", ancestor.id, "features", feature), key=True)
        for ancestor in reversed(lineage)
        for feature in ancestor.section.features
    }
    return PlanPlaces(
        plugins=unit.origin(at, key=True),
        allow=tuple(unit.origin((*allow, index)) for index in range(len(plugins.allow))),
        deny=tuple(unit.origin((*at, "deny", index)) for index in range(len(plugins.deny))),
        features=features,
    )


def _refuse_costly(unit: Unit, plan: CompiledPlan) -> None:
    """Report a plan whose expressions together could hold up a decision."""
    limits = [(limit.limit.id, limit.when) for limit in plan.limits]
    early, late = (
        [(it.id, each) for it in plan.rules if it.reads_limits is counted
         for each in (it.when, it.message_expr)]
        for counted in (False, True)
    )  # fmt: skip
    programs: list[tuple[str, Program]] = []
    for step in (limits, early, late):
        conditions = [(name, condition) for name, condition in step if condition is not None]
        programs += [(name, condition.program) for name, condition in conditions]
        # In each step a variable is evaluated once, however many expressions read it.
        variables = {
            (id(condition.scope), name): condition.scope.variables[name].program
            for _, condition in conditions
            for name in condition.variables
        }
        programs += [(f"vars.{name}", program) for (_, name), program in variables.items()]
    message = over_budget(programs, Budget())
    if message:
        unit.report("H3", message, ("plans", plan.id), key=True)
