"""What in a set of policies can be seen at work, and in which ways?"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from sidecar.policy.compiled import CompiledLimit, CompiledPlan, CompiledRule
from sidecar.policy.conditions import Condition
from sidecar.policy.limits import written_limits
from sidecar.policy.load import Examined
from sidecar.policy.source import Place
from sidecar.policy.unit import Unit

Key = tuple[object, ...]


class Kind(StrEnum):
    """What is seen."""

    CONDITION = "condition"
    PART = "part"
    RULE = "rule"
    LIMIT = "limit"
    OVERRIDE = "override"
    PLUGINS = "plugins"


@dataclass(frozen=True, slots=True)
class Spot:
    """One thing that tests should show at work.

    Attributes:
        key: the same for the same thing, whichever files it was read with.
        name: of what it is, or belongs to.
        ways: what should be seen of it; each is a word.
    """

    kind: Kind
    key: Key
    name: str
    text: str
    file: str
    place: Place
    ways: tuple[str, ...]


def spots_of(examined: Examined) -> Iterator[Spot]:
    """Everything in a directory that loads, file by file."""
    assert examined.policies is not None, "what does not load is not tested"
    plans = examined.policies.plans
    limits = {limit_key(limit): limit for plan in plans for limit in plan.limits}
    rules = {rule.id: rule for plan in plans for rule in plan.rules}
    by_id = {plan.id: plan for plan in plans}
    for unit in examined.units:
        for name, condition in unit.scope.variables.items():
            yield from _of_condition(condition, f"variable {name}")
        for name, section in unit.file.plans.items():
            if section.plugins is not None:
                yield _of_plugins(unit, by_id[name])
            for written, path in written_limits(name, section):
                key = Kind.LIMIT, *_place(unit, unit.source.place(path)), written.id
                yield from _of_limit(limits[key], unit.source.place(path))
        for index, rule in enumerate(unit.file.rules):
            if rule.id not in rules:
                # Where there is no plan, no rule is ever asked.
                continue
            place = unit.source.place(("rules", index, "id"))
            yield from _of_rule(rules[rule.id], place, is_chosen=rule.match.plans is not None)
        for index, override in enumerate(unit.file.overrides):
            place = unit.source.place(("overrides", index, "id"))
            yield Spot(
                Kind.OVERRIDE, override_key(override.id), override.id, override.id,
                unit.source.name, place, ("applied",),
            )  # fmt: skip


def condition_key(condition: Condition, start: int, end: int) -> Key:
    """A condition, or the part of it that stands at [start, end)."""
    return condition.source.name, condition.path, start, end


def limit_key(limit: CompiledLimit) -> Key:
    """A limit as one plan writes it; those that inherit it have the same."""
    return Kind.LIMIT, limit.origin.file, limit.origin.line, limit.limit.id


def rule_key(name: str) -> Key:
    """A rule."""
    return Kind.RULE, name


def override_key(name: str) -> Key:
    """An override."""
    return Kind.OVERRIDE, name


def plugins_key(plan: str) -> Key:
    """The plugins of a plan; those that inherit them have the same."""
    return Kind.PLUGINS, plan


def _place(unit: Unit, place: Place) -> tuple[str, int]:
    return unit.source.name, place.line


def _of_condition(condition: Condition, name: str) -> Iterator[Spot]:
    program = condition.program
    parts: list[tuple[Kind, int, int]] = []
    if program.result.kind == "bool":
        parts.append((Kind.CONDITION, 0, len(program.source)))
    parts += [(Kind.PART, start, end) for start, end in program.branches]
    for kind, start, end in parts:
        yield Spot(
            kind, condition_key(condition, start, end), name, program.source[start:end].strip(),
            condition.source.name, condition.place(start, end), ("true", "false"),
        )  # fmt: skip


def _of_limit(limit: CompiledLimit, place: Place) -> Iterator[Spot]:
    name = limit.limit.id
    maximum = limit.limit.maximum
    ways: tuple[str, ...] = ("exceeded", "kept")
    if maximum is None:
        ways = ("kept",)
    elif maximum == 0:
        ways = ("exceeded",)
    yield Spot(Kind.LIMIT, limit_key(limit), name, name, limit.origin.file, place, ways)
    if limit.when is not None:
        yield from _of_condition(limit.when, f"limit {name}")


def _of_rule(rule: CompiledRule, place: Place, *, is_chosen: bool) -> Iterator[Spot]:
    for condition in filter(None, (rule.when, rule.message_expr)):
        yield from _of_condition(condition, f"rule {rule.id}")
    if rule.when is None:
        can_miss = is_chosen or rule.plugins is not None
        ways = ("matched", "not matched") if can_miss else ("matched",)
        key = rule_key(rule.id)
        yield Spot(Kind.RULE, key, rule.id, rule.id, rule.origin.file, place, ways)


def _of_plugins(unit: Unit, plan: CompiledPlan) -> Spot:
    path = ("plans", plan.id, "plugins")
    place = unit.source.place(path, key=True)
    ways: Iterable[str] = ("allowed", "refused")
    if not plan.plugins_allow.patterns or "*" in plan.plugins_deny.patterns:
        ways = ("refused",)
    elif "*" in plan.plugins_allow.patterns and not plan.plugins_deny.patterns:
        ways = ("allowed",)
    name = f"{plan.id}.plugins"
    key = plugins_key(plan.id)
    return Spot(Kind.PLUGINS, key, name, name, unit.source.name, place, tuple(ways))
