"""What do the rules of a file compile to?"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache

from sidecar.cel import BOOL, STRING
from sidecar.policy.compiled import CompiledRule
from sidecar.policy.format import RuleSection
from sidecar.policy.globs import Globs
from sidecar.policy.limits import limits_always_read
from sidecar.policy.lineage import Plans
from sidecar.policy.names import Ids, refuse_unknown
from sidecar.policy.source import Path
from sidecar.policy.unit import Unit


@dataclass(frozen=True, slots=True)
class PlannedRule:
    """A rule with the plans that it is for, None for all."""

    rule: CompiledRule
    plans: Collection[str] | None

    def is_for(self, plan: str) -> bool:
        """Whether the rule looks at requests under a plan."""
        return self.plans is None or plan in self.plans


def compile_rules(
    unit: Unit, ids: Ids, plans: Plans, lost: Collection[str]
) -> Iterator[PlannedRule]:
    """The rules of a file, in its order; what is wrong with them is reported."""
    always_read = cache(lambda names: limits_always_read(plans, names, lost))
    for index, section in enumerate(unit.file.rules):
        path: Path = ("rules", index)
        ids.claim(unit, section.id, "rule", (*path, "id"))
        for position, plan in enumerate(section.match.plans or ()):
            where = (*path, "match", "plans", position)
            refuse_unknown(unit, "plan", plan, plans.units, lost, where)
        present = always_read(tuple(section.match.plans or plans.units))
        yield PlannedRule(_compile_rule(unit, section, path, present), section.match.plans)


def _compile_rule(
    unit: Unit, section: RuleSection, path: Path, present: frozenset[tuple[str, ...]]
) -> CompiledRule:
    denies_on_condition = section.effect == "deny" and section.when is not None
    if denies_on_condition and unit.lacks((*path, "on_error"), section.on_error):
        message = f"the rule {section.id!r} does not say what it means if its condition errs"
        hint = "add on_error: deny, or warn or skip"
        unit.report("I8", message, path, hint=hint)
    globs = section.match.plugins
    when = unit.expression((*path, "when"), section.when, BOOL, present=present)
    # The message is computed where the condition was true.
    proved = frozenset() if when is None else when.program.proves
    message_expr = unit.expression(
        (*path, "message_expr"), section.message_expr, STRING, present=present | proved
    )
    return CompiledRule(
        id=section.id,
        plugins=None if globs is None else Globs(globs),
        when=when,
        effect=section.effect,
        on_error=section.on_error or "skip",
        mode=unit.narrowed(section.mode, path),
        refusal=section.status,
        message=section.message,
        message_expr=message_expr,
        reads_limits=any(each.reads_limits for each in (when, message_expr) if each is not None),
        origin=unit.origin(path),
    )
