"""Are the words that something is compared with words that it can be?"""

from collections.abc import Iterable, Iterator

from sidecar.cel.logic.terms import key_of
from sidecar.cel.presence import path_of
from sidecar.cel.typed import Apply, Const, Elements, Local, Node, within
from sidecar.policy.diagnostics import Diagnostic, Related, nearest
from sidecar.policy.globs import is_wild
from sidecar.policy.lint.remarks import warning
from sidecar.policy.lint.statements import Statement
from sidecar.policy.load import Examined

_Words = dict[tuple[object, str], tuple[Statement, Const]]
"""What is compared with which text, by its letters alone: where it was first."""


def check(examined: Examined, all_said: Iterable[Statement]) -> Iterable[Diagnostic]:
    """G5 for plans that there are not, G12 for globs, G13 for one word in two cases."""
    plans = set(examined.plans.units)
    words: _Words = {}
    for it in all_said:
        for node in within(it.tree):
            yield from _words(it, node, plans, words)


def _words(it: Statement, node: Node, plans: set[str], words: _Words) -> Iterator[Diagnostic]:
    for term, literal in _equalities(node):
        word, part = literal.value, (literal.start, literal.end)
        assert isinstance(word, str), "only text is looked at"
        # A role or a tag may well be "*"; a plugin or a model is not.
        if is_wild(word) and _is_of_request(term):
            message = f"== compares with {word!r} as it stands: this is no glob"
            prefix = word.partition("*")[0]
            hint = "write startsWith, endsWith, contains or matches"
            if prefix and prefix + "*" == word and not is_wild(prefix):
                hint = f'write startsWith("{prefix}")'
            yield warning(it.unit, "G12", message, it.path, hint=hint, part=part)
            continue
        if any(isinstance(each, Local) for each in within(term)):
            continue  # a name of a loop, which means something else in the next one
        key = key_of(it.words.written_out(term))
        first, other = words.setdefault((key, word.lower()), (it, literal))
        if other.value != word:
            message = f"this is compared with {other.value!r} too, and case counts"
            hint = "write it alike in both places, or compare x.lowerAscii()"
            place = first.condition.place(other.start, other.end)
            name = first.unit.source.name
            said = f"{other.value!r} stands here"
            related = (Related(name, place.line, place.column, said, place.length),)
            yield warning(it.unit, "G13", message, it.path, hint=hint, part=part, related=related)
        if key == _SUBSCRIBED and word and word not in plans:
            near = nearest(word, plans)
            hint = f"did you mean {near!r}?" if near else "a plan that no file knows is refused"
            message = f"there is no plan {word!r}"
            yield warning(it.unit, "G5", message, it.path, hint=hint, part=part)


def _is_of_request(term: Node) -> bool:
    """Whether it is a field of the request itself, and none of its attributes."""
    path = path_of(term) or ()
    return len(path) == 2 and path[0] == "request"


_SUBSCRIBED = ("at", ("at", "subscription"), "plan", False)


def _equalities(node: Node) -> Iterator[tuple[Node, Const]]:
    """The texts that something is compared with for being the same."""
    match node:
        case Apply(function="_==_" | "_!=_", arguments=(left, right)):
            for term, literal in ((left, right), (right, left)):
                if isinstance(literal, Const) and isinstance(literal.value, str):
                    yield term, literal
        case Apply(function="_in_", arguments=(term, Elements(elements=elements))):
            for each, _ in elements:
                if isinstance(each, Const) and isinstance(each.value, str):
                    yield term, each
