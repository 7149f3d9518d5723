"""Do the files of a directory fit together, and what do they compile to?

Files are read one by one elsewhere; here ids, plans, rules and overrides meet. Every finding
of every file is collected before anything is refused.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction

from sidecar.cel import BOOL, DYN, STRING, Type
from sidecar.domain.limits import Dimension, Limit
from sidecar.domain.modes import Ceiling, FailureMode, Mode
from sidecar.domain.request import MeterKind
from sidecar.domain.subscription import Terms
from sidecar.domain.windows import Fixed, Window, parse_duration, parse_window, rough_length_ms
from sidecar.policy.compiled import CompiledLimit, CompiledPlan, CompiledRule, Origin, Override
from sidecar.policy.conditions import Condition, Scope, plan_type
from sidecar.policy.diagnostics import Diagnostic, InvalidPolicies, did_you_mean
from sidecar.policy.format import (
    LimitSection,
    OverrideSection,
    PlanSection,
    PolicyFile,
    RuleSection,
)
from sidecar.policy.globs import Globs
from sidecar.policy.source import Path, SourceFile

METERS_COUNTED = frozenset(MeterKind) - {MeterKind.COST}
"""What this version can count; cost needs prices, and a limit that counts nothing is refused."""

_MAX_EXTENDS = 8


@dataclass(frozen=True, slots=True)
class Unit:
    """One file that was read well, with the scope of its expressions."""

    source: SourceFile
    file: PolicyFile
    scope: Scope
    mode: Mode

    def origin(self, path: Path, *, key: bool = False) -> Origin:
        """Where a path of this file stands."""
        return Origin(self.source.name, self.source.place(path, key=key).line)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A directory after compilation."""

    plans: Mapping[str, CompiledPlan]
    default_plan: str | None
    terms: Terms
    mode: Mode
    failure_mode: FailureMode


@dataclass(frozen=True, slots=True)
class _Claim:
    """One use of an id; `plan` where it is a limit's."""

    unit: Unit
    kind: str
    path: Path
    plan: str | None


@dataclass(slots=True)
class _Compiler:
    units: Sequence[Unit]
    findings: list[Diagnostic] = field(default_factory=list)
    plan_units: dict[str, Unit] = field(default_factory=dict)
    limits: dict[tuple[str, str], CompiledLimit] = field(default_factory=dict)
    claims: dict[str, list["_Claim"]] = field(default_factory=dict)
    overrides: dict[str, list[Override]] = field(default_factory=dict)

    def run(self) -> Compiled:
        for unit in self.units:
            self._collect_plans(unit)
        for unit in self.units:
            self._check_lineage(unit)
        known_limits = {name for unit in self.units for name in _limit_ids(unit.file)}
        for unit in self.units:
            self._collect_overrides(unit, known_limits)
        self._refuse_ties()
        for unit in self.units:
            self._declare_variables(unit)
            self._compile_limits(unit)
        rules = [rule for unit in self.units for rule in self._compile_rules(unit)]
        self._refuse_shared_ids()
        default_plan, deciding = self._default_plan()
        terms = self._terms()
        if self.findings:
            raise InvalidPolicies(self.findings)
        plans = {name: self._compile_plan(name, rules) for name in self.plan_units}
        return Compiled(plans, default_plan, terms, deciding[0], deciding[1])

    # -- plans ------------------------------------------------------------------------------

    def _collect_plans(self, unit: Unit) -> None:
        for name in unit.file.plans:
            if name in self.plan_units:
                other = self.plan_units[name].origin(("plans", name), key=True)
                message = f"plan {name!r} stands in {other.file}:{other.line} too"
                self._report(unit, "B4", message, ("plans", name), key=True)
            else:
                self.plan_units[name] = unit

    def _check_lineage(self, unit: Unit) -> None:
        for name, plan in unit.file.plans.items():
            path: Path = ("plans", name)
            if plan.extends is not None and plan.extends not in self.plan_units:
                hint = did_you_mean(plan.extends, self.plan_units)
                self._report(unit, "C1", f"no plan {plan.extends!r}", (*path, "extends"), hint=hint)
                continue
            lineage = self._lineage(name)
            if lineage is None:
                message = f"plan {name!r} extends itself, or more than {_MAX_EXTENDS} plans"
                self._report(unit, "C2", message, (*path, "extends"))
            elif all(plan.plugins is None for _, plan in lineage):
                message = f"plan {name!r} does not say which plugins it includes"
                hint = 'write plugins: ["*"] for all, [] for none'
                self._report(unit, "B2", message, path, hint=hint, key=True)

    def _lineage(self, name: str | None) -> list[tuple[str, PlanSection]] | None:
        """A plan and those that it extends, itself first; None for a circle."""
        lineage: list[tuple[str, PlanSection]] = []
        current = name
        while current is not None and current in self.plan_units:
            if len(lineage) > _MAX_EXTENDS:
                return None
            section = self.plan_units[current].file.plans[current]
            lineage.append((current, section))
            current = section.extends
        return lineage

    def _compile_plan(
        self, name: str, rules: Sequence[tuple[CompiledRule, Collection[str] | None]]
    ) -> CompiledPlan:
        unit = self.plan_units[name]
        lineage = self._lineage(name) or []
        limits: dict[str, CompiledLimit] = {}
        features: dict[str, bool] = {}
        for owner, section in reversed(lineage):
            features.update(section.features)
            if "tokens_per_month" in section.model_fields_set:
                for ancestor, _ in lineage:
                    limits.pop(_monthly_id(ancestor), None)
            for limit_id in _plan_limit_ids(owner, section):
                limits[limit_id] = self.limits[owner, limit_id]
        plugins = next(section.plugins for _, section in lineage if section.plugins is not None)
        section = lineage[0][1]
        display_name = section.name or name
        return CompiledPlan(
            id=name,
            name=display_name,
            mode=unit.mode,
            failure_mode=unit.file.defaults.failure_mode,
            plugins_allow=Globs(plugins.allow),
            plugins_deny=Globs(plugins.deny),
            features=features,
            limits=tuple(
                sorted(
                    limits.values(), key=lambda it: rough_length_ms(it.limit.window), reverse=True
                )
            ),
            rules=tuple(rule for rule, plans in rules if plans is None or name in plans),
            facts={"id": name, "name": display_name, "features": features},
            origin=unit.origin(("plans", name), key=True),
        )

    # -- limits -----------------------------------------------------------------------------

    def _compile_limits(self, unit: Unit) -> None:
        for name, plan in unit.file.plans.items():
            if "tokens_per_month" in plan.model_fields_set:
                path: Path = ("plans", name, "tokens_per_month")
                section = LimitSection(
                    id=_monthly_id(name),
                    meter=MeterKind.TOKENS,
                    max=plan.tokens_per_month,
                    window=Fixed.BILLING_MONTH.value,
                )
                self._claim(unit, section.id, "limit", path, plan=name)
                self._compile_limit(unit, name, section, path)
            for index, section in enumerate(plan.limits):
                path = ("plans", name, "limits", index)
                self._claim(unit, section.id, "limit", (*path, "id"), plan=name)
                self._compile_limit(unit, name, section, path)

    def _compile_limit(self, unit: Unit, plan: str, section: LimitSection, path: Path) -> None:
        mode = self._mode(unit, section.mode, path)
        if section.meter not in METERS_COUNTED:
            message = f"this version counts no {section.meter.value}, so the limit would never hold"
            self._report(unit, "E4", message, (*path, "meter"))
        when = self._expression(unit, (*path, "when"), section.when, BOOL, before_counting=True)
        window = self._window(unit, section, path)
        warn_at = section.warn_at
        share = None if warn_at is None else Fraction(str(warn_at)).as_integer_ratio()
        self.limits[plan, section.id] = CompiledLimit(
            limit=Limit(
                id=section.id,
                meter=section.meter,
                maximum=section.max,
                window=window,
                per=_counted_per(section.per),
                mode=mode,
                failure_mode=section.failure_mode or unit.file.defaults.failure_mode,
                warn_from=_warn_from(section.max, share),
                refusal=section.status,
                message=section.message or "",
                conditional=section.when is not None,
            ),
            when=when,
            warn_at=share,
            overrides=tuple(self.overrides.get(section.id, ())),
            origin=unit.origin(path),
        )

    def _window(self, unit: Unit, section: LimitSection, path: Path) -> Window:
        window = None if section.window is None else parse_window(section.window)
        if section.meter is MeterKind.CONCURRENCY:
            if window not in (None, Fixed.LIFETIME):
                message = "concurrency counts live reservations and has no window"
                self._report(unit, "E4", message, (*path, "window"), hint="leave window out")
            return Fixed.LIFETIME
        if window is None:
            self._report(unit, "B2", f"limit {section.id!r} lacks the field 'window'", path)
        return window or Fixed.LIFETIME

    # -- rules ------------------------------------------------------------------------------

    def _compile_rules(self, unit: Unit) -> Iterator[tuple[CompiledRule, Collection[str] | None]]:
        for index, section in enumerate(unit.file.rules):
            path: Path = ("rules", index)
            self._claim(unit, section.id, "rule", (*path, "id"))
            yield self._compile_rule(unit, section, path), section.match.plans

    def _compile_rule(self, unit: Unit, section: RuleSection, path: Path) -> CompiledRule:
        for position, plan in enumerate(section.match.plans or ()):
            if plan not in self.plan_units:
                hint = did_you_mean(plan, self.plan_units)
                where = (*path, "match", "plans", position)
                self._report(unit, "C1", f"no plan {plan!r}", where, hint=hint)
        if section.effect == "deny" and section.on_error is None and section.when is not None:
            message = f"rule {section.id!r} denies, so it says what an error in it means"
            hint = "add on_error: deny, warn or skip"
            self._report(unit, "I8", message, path, hint=hint)
        when = self._expression(unit, (*path, "when"), section.when, BOOL)
        message_expr = self._expression(unit, (*path, "message_expr"), section.message_expr, STRING)
        globs = section.match.plugins
        return CompiledRule(
            id=section.id,
            plugins=None if globs is None else Globs(globs),
            when=when,
            effect=section.effect,
            on_error=section.on_error or "skip",
            mode=self._mode(unit, section.mode, path),
            refusal=section.status,
            message=section.message,
            message_expr=message_expr,
            origin=unit.origin(path),
        )

    # -- overrides --------------------------------------------------------------------------

    def _collect_overrides(self, unit: Unit, known_limits: Collection[str]) -> None:
        for index, section in enumerate(unit.file.overrides):
            path: Path = ("overrides", index)
            self._claim(unit, section.id, "override", (*path, "id"))
            if section.limit not in known_limits:
                hint = did_you_mean(section.limit, known_limits)
                self._report(unit, "C1", f"no limit {section.limit!r}", (*path, "limit"), hint=hint)
            if section.from_ and section.until and section.until <= section.from_:
                self._report(unit, "B6", "it ends before it begins", (*path, "until"))
            if not (section.for_.apps or section.for_.tenants or section.for_.users):
                message = "nobody is named"
                hint = "name apps, tenants or users"
                self._report(unit, "B2", message, (*path, "for"), hint=hint)
                continue
            override = _override(section, unit.origin(path))
            self.overrides.setdefault(section.limit, []).append(override)
        for overrides in self.overrides.values():
            overrides.sort(key=lambda override: -override.rank)

    def _refuse_ties(self) -> None:
        sources = {unit.source.name: unit for unit in self.units}
        for limit, overrides in self.overrides.items():
            for index, first in enumerate(overrides):
                for second in overrides[index + 1 :]:
                    if _tie(first, second):
                        unit = sources[second.origin.file]
                        place = next(
                            position
                            for position, section in enumerate(unit.file.overrides)
                            if section.id == second.id
                        )
                        message = (
                            f"override {second.id!r} and {first.id!r} "
                            f"({first.origin.file}:{first.origin.line}) both hold for {limit!r}, "
                            "for the same subject at the same time"
                        )
                        self._report(unit, "F1", message, ("overrides", place))

    # -- once per directory -----------------------------------------------------------------

    def _default_plan(self) -> tuple[str | None, tuple[Mode, FailureMode]]:
        """The plan of those without one, with the modes in which missing facts are judged."""
        chosen: tuple[str, Unit] | None = None
        for unit in self.units:
            plan = unit.file.defaults.plan
            path: Path = ("defaults", "plan")
            if plan is None:
                continue
            if plan not in self.plan_units:
                self._report(
                    unit, "C1", f"no plan {plan!r}", path, hint=did_you_mean(plan, self.plan_units)
                )
            if chosen is not None:
                other = chosen[1].origin(path)
                message = f"defaults.plan stands in {other.file}:{other.line} too"
                self._report(unit, "B4", message, path)
            else:
                chosen = plan, unit
        if chosen is not None:
            plan, unit = chosen
            return plan, (unit.mode, unit.file.defaults.failure_mode)
        modes = {unit.mode for unit in self.units}
        mode = next((mode for mode in (Mode.ENFORCE, Mode.ADVISORY) if mode in modes), Mode.OFF)
        closed = any(unit.file.defaults.failure_mode is FailureMode.CLOSED for unit in self.units)
        return None, (mode, FailureMode.CLOSED if closed else FailureMode.OPEN)

    def _terms(self) -> Terms:
        terms, first = Terms(), None
        for unit in self.units:
            section = unit.file.subscription
            if section is None:
                continue
            if first is not None:
                other = first.origin(("subscription",), key=True)
                message = f"subscription stands in {other.file}:{other.line} too"
                self._report(unit, "B4", message, ("subscription",), key=True)
                continue
            first = unit
            trial = section.trial
            if trial.plan is not None and trial.plan not in self.plan_units:
                hint = did_you_mean(trial.plan, self.plan_units)
                path: Path = ("subscription", "trial", "plan")
                self._report(unit, "C1", f"no plan {trial.plan!r}", path, hint=hint)
            terms = Terms(
                active=frozenset(section.active),
                grace={
                    status: parse_duration(text) or timedelta()
                    for status, text in section.grace.items()
                },
                trial_plan=trial.plan or "",
                trial_length=None if trial.days is None else timedelta(days=trial.days),
            )
        return terms

    # -- shared -----------------------------------------------------------------------------

    def _declare_variables(self, unit: Unit) -> None:
        for index, variable in enumerate(unit.file.variables):
            path: Path = ("variables", index)
            if variable.name in unit.scope.variables:
                message = f"variable {variable.name!r} is declared twice"
                self._report(unit, "C3", message, (*path, "name"))
                continue
            compiled = self._expression(unit, (*path, "expr"), variable.expr, DYN)
            if compiled is not None:
                unit.scope.declare(variable.name, compiled)

    def _expression(
        self,
        unit: Unit,
        path: Path,
        text: str | None,
        result: Type,
        *,
        before_counting: bool = False,
    ) -> Condition | None:
        if text is None:
            return None
        compiled = unit.scope.compile(
            unit.source, path, text, result, before_counting=before_counting
        )
        if isinstance(compiled, Condition):
            return compiled
        self.findings.extend(compiled)
        return None

    def _mode(self, unit: Unit, own: Mode | None, path: Path) -> Mode:
        if own is None:
            return unit.mode
        if unit.file.mode.narrowed(own) is not own:
            message = f"mode {own.value} is stricter than the file's {unit.file.mode.value}"
            hint = "a limit or rule may only narrow its file's mode"
            self._report(unit, "J1", message, (*path, "mode"), hint=hint)
        return unit.mode.narrowed(own)

    def _claim(
        self, unit: Unit, name: str, kind: str, path: Path, *, plan: str | None = None
    ) -> None:
        self.claims.setdefault(name, []).append(_Claim(unit, kind, path, plan))

    def _refuse_shared_ids(self) -> None:
        """One id names one thing; only a limit that its plan inherits may be restated."""
        for name, claims in self.claims.items():
            owners = {claim.plan for claim in claims if claim.plan is not None}
            first: _Claim | None = None
            for claim in claims:
                above = {ancestor for ancestor, _ in (self._lineage(claim.plan) or ())[1:]}
                if above & owners:
                    continue
                if first is None:
                    first = claim
                    continue
                origin = first.unit.origin(first.path)
                message = f"id {name!r} is taken by a {first.kind}: {origin.file}:{origin.line}"
                self._report(claim.unit, "B4", message, claim.path)

    def _report(
        self,
        unit: Unit,
        code: str,
        message: str,
        path: Path,
        *,
        hint: str = "",
        key: bool = False,
    ) -> None:
        self.findings.append(unit.source.report(code, message, path, hint=hint, key=key))


def compile_files(files: Sequence[tuple[SourceFile, PolicyFile]], ceiling: Ceiling) -> Compiled:
    """Policies from files that were each read well.

    Raises:
        InvalidPolicies: they do not fit together, or an expression in them is wrong.
    """
    plan_ids = [name for _, file in files for name in file.plans]
    plan = plan_type(plan_ids)
    units = [
        Unit(source, file, Scope(file.constants, plan), ceiling.over(file.mode))
        for source, file in files
    ]
    return _Compiler(units).run()


def with_maximum(limit: CompiledLimit, maximum: int | None) -> Limit:
    """The limit with another bound."""
    return replace(limit.limit, maximum=maximum, warn_from=_warn_from(maximum, limit.warn_at))


def _warn_from(maximum: int | None, share: tuple[int, int] | None) -> int | None:
    if maximum is None or share is None:
        return None
    return -(-maximum * share[0] // share[1])


def _monthly_id(plan: str) -> str:
    return f"{plan}-tokens-per-month"


def _plan_limit_ids(name: str, plan: PlanSection) -> list[str]:
    monthly = [_monthly_id(name)] if "tokens_per_month" in plan.model_fields_set else []
    return [*monthly, *(limit.id for limit in plan.limits)]


def _limit_ids(file: PolicyFile) -> list[str]:
    return [limit for name, plan in file.plans.items() for limit in _plan_limit_ids(name, plan)]


def _counted_per(per: Sequence[Dimension]) -> tuple[Dimension, ...]:
    """Dimensions in their one order; the app is always among them."""
    return tuple(dimension for dimension in Dimension if dimension in {*per, Dimension.APP})


def _override(section: OverrideSection, origin: Origin) -> Override:
    return Override(
        id=section.id,
        apps=frozenset(section.for_.apps or ()),
        tenants=frozenset(section.for_.tenants or ()),
        users=frozenset(section.for_.users or ()),
        maximum=section.max,
        begins=section.from_,
        ends=section.until,
        origin=origin,
    )


def _tie(first: Override, second: Override) -> bool:
    """Whether two overrides of one rank can hold for one subject at one time."""

    def meet(one: frozenset[str], other: frozenset[str]) -> bool:
        return not one or not other or bool(one & other)

    def before(end: datetime | None, begin: datetime | None) -> bool:
        return end is not None and begin is not None and end <= begin

    return (
        first.rank == second.rank
        and meet(first.apps, second.apps)
        and meet(first.tenants, second.tenants)
        and meet(first.users, second.users)
        and not before(first.ends, second.begins)
        and not before(second.ends, first.begins)
    )
