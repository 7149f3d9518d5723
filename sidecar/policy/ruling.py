"""What do rules say of the facts?"""

from collections.abc import Iterable, Mapping, Sequence

from sidecar.cel import CelError
from sidecar.domain.decision import Effect, Reason, ReasonCode, RuleError
from sidecar.policy.compiled import Asked, CompiledRule
from sidecar.policy.conditions import Context

MAX_MESSAGE = 1024


def reasons_of(
    asked: Iterable[Asked], context: Context, errors: list[RuleError]
) -> Mapping[str, Reason]:
    """The reasons that rules give, by their ids and in file order; what errs is noted."""
    reasons: dict[str, Reason] = {}
    for together in asked:
        for rule in speaking(together, context):
            reason = reason_of(rule, context, errors)
            if reason is not None:
                reasons[rule.id] = reason
    return reasons


def speaking(asked: Asked, context: Context) -> Sequence[CompiledRule]:
    """The rules whose conditions are not plainly false."""
    bindings = context.bindings(asked.scope, asked.variables) if asked.scope else {}
    if isinstance(bindings, CelError):
        # Not every rule needs the variable that errs.
        return [rule for rule, _ in asked.tests]
    if asked.at_once is not None:
        said = asked.at_once(bindings)
        if said == asked.silent:
            return ()
        return [rule for (rule, _), one in zip(asked.tests, said, strict=True) if one is not False]
    return [rule for rule, test in asked.tests if test(bindings) is not False]


def reason_of(rule: CompiledRule, context: Context, errors: list[RuleError]) -> Reason | None:
    """The reason that a rule gives, None if it does not hold; what errs is noted."""
    holds = True if rule.when is None else context.evaluate(rule.when)
    if isinstance(holds, CelError):
        errors.append(RuleError(rule.id, holds.message))
        if rule.on_error == "skip":
            return None
        effect = Effect(rule.on_error)
        return Reason(ReasonCode.RULE_ERROR, rule.id, effect, rule.mode, rule.message, rule.refusal)
    if not holds:
        return None
    effect = Effect(rule.effect)
    code = ReasonCode.RULE_DENIED if effect is Effect.DENY else ReasonCode.RULE_WARNED
    message = _message(rule, context, errors)
    return Reason(code, rule.id, effect, rule.mode, message, rule.refusal)


def _message(rule: CompiledRule, context: Context, errors: list[RuleError]) -> str:
    """The computed message; the static one where there is none or it cannot be computed."""
    if rule.message_expr is None:
        return rule.message
    text = context.evaluate(rule.message_expr)
    if isinstance(text, CelError):
        errors.append(RuleError(rule.id, f"message_expr: {text.message}"))
        return rule.message
    text = str(text)
    return text if text and len(text) <= MAX_MESSAGE else rule.message
