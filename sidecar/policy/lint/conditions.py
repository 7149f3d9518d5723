"""Can a condition come out both ways?"""

from collections.abc import Iterable, Iterator

from sidecar.cel.logic.cases import ANY
from sidecar.cel.logic.claims import Claim
from sidecar.cel.logic.facts import Fact
from sidecar.cel.typed import Apply, Choice, Const, Field, Logic, Node, Variable
from sidecar.policy.diagnostics import Diagnostic, Related
from sidecar.policy.lint.cuts import without
from sidecar.policy.lint.remarks import warning
from sidecar.policy.lint.statements import BOUNDS, Statement
from sidecar.policy.load import Examined

_BEGINS_WITH = {
    "getDayOfWeek": "0 is Sunday",
    "getMonth": "0 is January",
    "getDayOfMonth": "0 is the 1st",
}


def check(examined: Examined, all_said: Iterable[Statement]) -> Iterable[Diagnostic]:
    """I1 for what is always the same, I2 for what contradicts itself."""
    has_one_plan = len(examined.plans.units) < 2
    for it in all_said:
        if it.path[-1] == "message_expr" or it.tree.type.kind != "bool":
            continue
        # Whoever has one plan so far, and asks for it by name, thinks of the others; but not in
        # a rule that is for this plan only.
        names_plan = it.unit.source.node((*it.path[:-1], "match", "plans")) is not None
        if has_one_plan and not names_plan and ("plan", "id") in it.condition.program.references:
            continue
        yield from _whole(it)


def _whole(it: Statement) -> Iterator[Diagnostic]:
    claim = it.claim
    if claim.is_never_true:
        yield _never(it, claim, it.tree)
    elif claim.is_always_true:
        yield _always(it)
    elif not _is_name(it.tree):
        yield from _parts(it, it.tree)


def _parts(it: Statement, node: Node) -> Iterator[Diagnostic]:
    """The largest parts that always come out alike, though the whole does not."""
    for part in _conditions_in(node):
        if _is_name(part) or isinstance(part, Const):
            continue
        claim = it.claim_of(part)
        if claim.is_never_true:
            yield _never(it, claim, part)
        elif claim.is_never_false:
            text = it.source[part.start : part.end]
            message = f"{_shortened(text)} is always true"
            hint = _why(claim.contradiction(outcome=False)) or "leave it out"
            yield warning(it.unit, "I1", message, it.path, hint=hint, part=(part.start, part.end))
        else:
            yield from _parts(it, part)


def _conditions_in(node: Node) -> tuple[Node, ...]:
    match node:
        case Logic():
            return node.operands
        case Apply(function="!_"):
            return node.arguments
        case Choice() if node.type.kind == "bool":
            return (node.condition, node.then, node.otherwise)
        case Choice():
            return (node.condition,)
    return ()


def _is_name(node: Node) -> bool:
    """Whether it is a variable of the file, which is looked at where it is declared."""
    return isinstance(node, Field) and node.operand.__class__ is Variable


def _always(it: Statement) -> Diagnostic:
    message, fix = "this condition is always true", None
    hint = "leave when out"
    if it.path[0] == "rules":
        fix = without(it.unit, it.path)
    elif it.path[0] == "variables":
        hint = "write true where it is used, or compare with what was meant"
    else:
        hint += "; the limit then counts anew, together with the others of its meter and window"
    return warning(it.unit, "I1", message, it.path, hint=hint, fix=fix)


def _never(it: Statement, claim: Claim, part: Node) -> Diagnostic:
    if isinstance(claim.node, Const):
        message = f"{_what(it, part)} is always false"
        return warning(
            it.unit, "I1", message, it.path, hint=_instead(it, part), part=(part.start, part.end)
        )
    facts = [fact for fact in claim.contradiction() if fact.node is not None]
    spans = [(fact.node.start, fact.node.end) for fact in facts if fact.node is not None]
    if len(spans) == 2 and spans[0] != spans[1]:
        first, second = sorted(spans)
        texts = [_shortened(it.source[start:end]) for start, end in (first, second)]
        message = f"{texts[0]} and {texts[1]} are never true together"
        if not all(fact.holds for fact in facts):
            message = f"{_what(it, part)} can never be true: {texts[0]} and {texts[1]} exclude it"
        place = it.unit.source.expression_place(it.path, *first)
        said = "the other one stands here"
        related = (Related(it.unit.source.name, place.line, place.column, said, place.length),)
        return warning(
            it.unit, "I2", message, it.path, hint=_instead(it, part), part=second, related=related
        )
    span = spans[0] if len(spans) == 1 else (part.start, part.end)
    message = f"{_shortened(it.source[span[0] : span[1]])} can never be true"
    hint = (_why(facts) if len(facts) == 1 else "") or _instead(it, part)
    return warning(it.unit, "I2", message, it.path, hint=hint, part=span)


def _what(it: Statement, part: Node) -> str:
    return "this condition" if part is it.tree else "this part"


def _instead(it: Statement, part: Node) -> str:
    if part is not it.tree:
        return "as it stands it adds nothing"
    if it.given != ANY and not Claim(it.written_out, True, it.can).is_never_true:
        return "match, or the plan that it stands in, has chosen other requests already"
    match it.path[0]:
        case "rules":
            return "as it stands the rule never speaks"
        case "plans":
            return "as it stands the limit never counts"
    return "compare with what was meant"


def _why(facts: Iterable[Fact]) -> str:
    """Between which values something lies, where that is the reason."""
    for fact in facts:
        bounds = BOUNDS.of(fact.term)
        if bounds is not None and fact.node is not None:
            low, high = bounds
            name = fact.term.function + "()" if fact.term.function else _shortened(_path(fact))
            said = f"{name} is never less than {low}"
            if high < 10_000:
                said = f"{name} is {low} to {high}"
            begins = _BEGINS_WITH.get(fact.term.function)
            return f"{said}; {begins}" if begins else said
    return ""


def _path(fact: Fact) -> str:
    return ".".join(fact.term.path or ())


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "…"
