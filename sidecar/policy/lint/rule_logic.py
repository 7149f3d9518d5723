"""Does every rule change an answer that the others leave as it is?"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, product

from sidecar.cel.logic.cases import Possibilities
from sidecar.cel.logic.claims import ALWAYS, Claim
from sidecar.cel.logic.terms import Term
from sidecar.cel.logic.texts import covers, globbed
from sidecar.domain.modes import Mode
from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.globs import is_wild
from sidecar.policy.lint.remarks import elsewhere, warning
from sidecar.policy.lint.statements import BOUNDS, Statement, given_of
from sidecar.policy.lint.written import WrittenRule, rules
from sidecar.policy.load import Examined

MOST_PAIRS = 40_000
"""Pairs of rules that are compared; after so many the rest is left alone."""
MOST_NAMES = 16
"""Plans and plugins of one rule by which it is looked up."""


@dataclass(frozen=True)
class _Rule:
    """A rule with what can be proved of its condition.

    Attributes:
        order: its position among all rules.
    """

    rule: WrittenRule
    claim: Claim
    order: int

    @cached_property
    def plans(self) -> frozenset[str]:
        """Those whose requests it looks at."""
        return frozenset(self.rule.plans)

    @property
    def named(self) -> Sequence[str]:
        """The plugins that it names, none where it names some by a pattern or looks at all."""
        globs = self.rule.section.match.plugins or ()
        return () if any(map(is_wild, globs)) else globs

    @property
    def refuses(self) -> bool:
        """Whether it denies, and that is enforced."""
        return self.rule.section.effect == "deny" and self.rule.mode is Mode.ENFORCE

    def looks_at_all_of(self, other: "_Rule") -> bool:
        """Whether it is asked wherever another one is asked."""
        mine, theirs = self.rule.section.match.plugins, other.rule.section.match.plugins
        return self.plans >= other.plans and (
            mine is None
            or (
                theirs is not None
                and all(any(covers(globbed(a), globbed(b)) for a in mine) for b in theirs)
            )
        )


def check(examined: Examined, all_said: Iterable[Statement]) -> Iterable[Diagnostic]:
    """I3, I4, I6: rules that repeat others, contradict them, or warn where others refuse."""
    everything = [it for it in _rules(examined, all_said) if it.plans]
    told: set[int] = set()
    for rule, other in islice(_alike(everything), MOST_PAIRS):
        finding = None if rule.order in told else _beside(rule, other)
        if finding is not None:
            told.add(rule.order)
            yield finding
    for rule, wide in islice(_around(everything), MOST_PAIRS):
        if rule.order not in told and _forestalls(wide, rule):
            told.add(rule.order)
            yield _forestalled(wide, rule)


def _rules(examined: Examined, all_said: Iterable[Statement]) -> Iterator[_Rule]:
    said = {(id(it.unit), it.path): it.claim for it in all_said}
    can = Possibilities(BOUNDS)
    for order, rule in enumerate(rules(examined)):
        claim = said.get((id(rule.unit), (*rule.path, "when")))
        if rule.mode is not Mode.OFF:
            given = given_of(rule.plans, rule.section.match.plugins)
            yield _Rule(rule, claim or Claim(ALWAYS, False, can, given), order)


class _Index:
    """Rules by a key of theirs, found by a plan and a plugin that they look at."""

    def __init__(self) -> None:
        self._rules: dict[object, list[_Rule]] = defaultdict(list)

    def add(self, key: object, rule: _Rule) -> None:
        """Keep a rule; one of many plans or plugins is kept for all."""
        plans = rule.rule.plans if len(rule.rule.plans) <= MOST_NAMES else (None,)
        globs = rule.named if 0 < len(rule.named) <= MOST_NAMES else (None,)
        for plan, glob in product(plans, globs):
            self._rules[key, plan, glob].append(rule)

    def about(self, key: object, rule: _Rule) -> Iterator[_Rule]:
        """The others that may look at all that a rule looks at."""
        for plan, glob in product((rule.rule.plans[0], None), {*rule.named[:1], None}):
            others = self._rules.get((key, plan, glob), ())
            yield from (other for other in others if other is not rule)


def _alike(everything: Iterable[_Rule]) -> Iterator[tuple[_Rule, _Rule]]:
    """Rules with the same condition, of which the second may be asked wherever the first is."""
    index = _Index()
    for rule in everything:
        index.add(rule.claim.key, rule)
    return ((rule, other) for rule in everything for other in index.about(rule.claim.key, rule))


def _around(everything: Iterable[_Rule]) -> Iterator[tuple[_Rule, _Rule]]:
    """Rules, each with one that refuses and may be true wherever it is: it turns on no more."""
    index = _Index()
    turned_on: dict[frozenset[Term], None] = {}
    for rule in everything:
        if rule.refuses:
            turned_on[rule.claim.terms] = None
            index.add(rule.claim.terms, rule)
    for rule in everything:
        known = {fact.term for case in rule.claim.when_true for fact in case}
        for terms in turned_on:
            if terms <= known:
                yield from ((rule, wide) for wide in index.about(terms, rule))


def _beside(rule: _Rule, other: _Rule) -> Diagnostic | None:
    """What is wrong with a rule beside another one of the same condition."""
    if not other.looks_at_all_of(rule):
        return None
    if other.refuses and rule.rule.section.effect == "warn":
        return _opposed(other, rule)
    same_effect = other.rule.section.effect == rule.rule.section.effect
    is_as_strict = rule.rule.mode.narrowed(other.rule.mode) is rule.rule.mode
    # Of two that say the same the second one is too many.
    is_second = other.order < rule.order or other.rule.mode is not rule.rule.mode
    is_second = is_second or not rule.looks_at_all_of(other)
    if same_effect and is_as_strict and is_second and _errs_no_more(other, rule):
        return _repeated(other, rule)
    return None


_SEVERITY = {None: 0, "skip": 0, "warn": 1, "deny": 2}


def _errs_no_more(one: _Rule, other: _Rule) -> bool:
    """Whether an error in the other rule means nothing that one in the first does not mean."""
    return (
        not other.claim.may_err
        or _SEVERITY[other.rule.section.on_error] <= _SEVERITY[one.rule.section.on_error]
    )


def _forestalls(wide: _Rule, rule: _Rule) -> bool:
    """Whether one rule refuses whatever another one speaks of, and was asked before."""
    if not wide.looks_at_all_of(rule):
        return False
    if rule.claim.may_err and rule.rule.section.on_error not in (None, "skip"):
        return False
    # Of two that refuse, the earlier one gives the message and the status.
    is_later = wide.order < rule.order or rule.rule.section.effect == "warn"
    return is_later and bool(rule.claim.when_true) and rule.claim.implies(wide.claim)


def _repeated(first: _Rule, rule: _Rule) -> Diagnostic:
    message = f"{rule.rule.id!r} repeats {first.rule.id!r}: the same condition, the same effect"
    return _told("I3", first, rule, message, "keep one of them")


def _opposed(refusing: _Rule, rule: _Rule) -> Diagnostic:
    message = f"{rule.rule.id!r} warns of what {refusing.rule.id!r} refuses on the same condition"
    return _told("I4", refusing, rule, message, "decide for one of them")


def _forestalled(wide: _Rule, rule: _Rule) -> Diagnostic:
    if rule.rule.section.effect == "warn":
        message = f"whatever {rule.rule.id!r} warns of, {wide.rule.id!r} refuses"
        hint = "a warning belongs before the refusal: let its condition be true earlier"
        return _told("I6", wide, rule, message, hint)
    message = f"{rule.rule.id!r} changes no answer: {wide.rule.id!r} refuses all of it already"
    hint = "take it out, or write it above, where its message comes first"
    return _told("I3", wide, rule, message, hint)


def _told(code: str, other: _Rule, rule: _Rule, message: str, hint: str) -> Diagnostic:
    written = other.rule
    said = f"{written.id!r} stands here"
    related = (elsewhere(written.unit, (*written.path, "id"), said),)
    path = (*rule.rule.path, "id")
    return warning(rule.rule.unit, code, message, path, hint=hint, related=related)
