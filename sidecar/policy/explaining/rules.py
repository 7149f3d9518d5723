"""How far does a rule come, and what does it do?"""

from sidecar.cel import CelError
from sidecar.domain.decision import Effect, Reason, RuleError
from sidecar.domain.explanation import Does, Evaluated, ExplainedRule, RuleState
from sidecar.domain.request import CheckRequest
from sidecar.policy.compiled import CompiledPlan, CompiledRule
from sidecar.policy.explaining.watching import Watched, place_of
from sidecar.policy.rules import PlannedRule
from sidecar.policy.ruling import reason_of

_MOST_NAMES = 8


def untouched_rule(
    planned: PlannedRule, plan: CompiledPlan | None, request: CheckRequest
) -> ExplainedRule:
    """A rule that the decision did not look at, because its `match` names something else."""
    rule = planned.rule
    if plan is None:
        return _told(rule, RuleState.OTHER_PLAN, "no plan is in force")
    if not planned.is_for(plan.id):
        names = _listed(sorted(planned.plans or ()))
        return _told(rule, RuleState.OTHER_PLAN, f"for {names}, not {plan.id}")
    globs = _listed(rule.plugins.patterns if rule.plugins else ())
    asked = f"not {request.plugin}" if request.plugin else "and no plugin is asked for"
    return _told(rule, RuleState.OTHER_PLUGIN, f"for {globs}, {asked}")


def touched_rule(rule: CompiledRule, context: Watched, *, trace: bool) -> ExplainedRule:
    """A rule that the decision looked at.

    Args:
        context: the facts that it sees: without counters where it reads none.
    """
    errors: list[RuleError] = []
    reason = reason_of(rule, context, errors)
    holds = True if rule.when is None else context.evaluate(rule.when)
    state = RuleState.TRUE if holds else RuleState.FALSE
    why = f"its when is {state}" if rule.when else "it has no when"
    if isinstance(holds, CelError):
        state = RuleState.ERROR
        why = f"its when cannot be evaluated ({holds.message}); on_error {rule.on_error}"
    elif errors:
        why += f"; {errors[0].message}"
    expressions = [
        *context.expressions("when", rule.when, trace=trace),
        *context.expressions("message_expr", rule.message_expr, trace=trace),
    ]
    # A variable that both of them read is told once.
    once = {each.name: each for each in expressions}
    return _told(rule, state, why, reason, tuple(once.values()))


def _told(
    rule: CompiledRule,
    state: RuleState,
    why: str,
    reason: Reason | None = None,
    expressions: tuple[Evaluated, ...] = (),
) -> ExplainedRule:
    effect = Effect(rule.effect)
    return ExplainedRule(
        id=rule.id,
        state=state,
        effect=effect,
        mode=rule.mode,
        on_error=rule.on_error,
        would=Does.of(effect, rule.mode),
        does=Does.of(reason.effect, reason.mode) if reason else Does.NOTHING,
        why=why,
        message=reason.message if reason else None,
        expressions=expressions,
        place=place_of(rule.origin),
    )


def _listed(names: tuple[str, ...] | list[str]) -> str:
    more = ", …" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
