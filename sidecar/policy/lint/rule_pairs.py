"""Which rules can have to do with each other?

Few pairs of a great many can: those that may be asked about one request, and whose conditions are
the same or turn on the same things.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from sidecar.cel.logic.cases import Possibilities
from sidecar.cel.logic.claims import ALWAYS, Claim
from sidecar.cel.logic.terms import Term
from sidecar.cel.logic.texts import covers, globbed
from sidecar.domain.modes import Mode
from sidecar.policy.globs import is_wild
from sidecar.policy.lint.statements import BOUNDS, Statement, given_of
from sidecar.policy.lint.written import WrittenRule, rules
from sidecar.policy.load import Examined

MOST_NAMES = 16
"""Plans and plugins of one rule by which it is looked up."""


@dataclass(frozen=True)
class AskedRule:
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

    def looks_at_all_of(self, other: "AskedRule") -> bool:
        """Whether it is asked wherever another one is asked."""
        mine, theirs = self.rule.section.match.plugins, other.rule.section.match.plugins
        return self.plans >= other.plans and (
            mine is None
            or (
                theirs is not None
                and all(any(covers(globbed(a), globbed(b)) for a in mine) for b in theirs)
            )
        )


def asked_rules(examined: Examined, all_said: Iterable[Statement]) -> Iterator[AskedRule]:
    """All rules that speak at all, in order of files."""
    said = {(id(it.unit), it.path): it.claim for it in all_said}
    can = Possibilities(BOUNDS)
    for order, rule in enumerate(rules(examined)):
        claim = said.get((id(rule.unit), (*rule.path, "when")))
        if rule.mode is not Mode.OFF:
            given = given_of(rule.plans, rule.section.match.plugins)
            yield AskedRule(rule, claim or Claim(ALWAYS, False, can, given), order)


class _Index:
    """Rules by a key of theirs, found by a plan and a plugin that they look at."""

    def __init__(self) -> None:
        self._rules: dict[object, list[AskedRule]] = defaultdict(list)

    def add(self, key: object, rule: AskedRule) -> None:
        """Keep a rule; one of many plans or plugins is kept for all."""
        plans = rule.rule.plans if len(rule.rule.plans) <= MOST_NAMES else (None,)
        globs = rule.named if 0 < len(rule.named) <= MOST_NAMES else (None,)
        for plan, glob in product(plans, globs):
            self._rules[key, plan, glob].append(rule)

    def about(self, key: object, rule: AskedRule) -> Iterator[AskedRule]:
        """The others that may look at all that a rule looks at."""
        for plan, glob in product((rule.rule.plans[0], None), (*rule.named[:1], None)):
            others = self._rules.get((key, plan, glob), ())
            yield from (other for other in others if other is not rule)


def alike(everything: Iterable[AskedRule]) -> Iterator[tuple[AskedRule, AskedRule]]:
    """Rules with the same condition, of which the second may be asked wherever the first is."""
    index = _Index()
    for rule in everything:
        index.add(rule.claim.key, rule)
    return ((rule, other) for rule in everything for other in index.about(rule.claim.key, rule))


def around(everything: Iterable[AskedRule]) -> Iterator[tuple[AskedRule, AskedRule]]:
    """Rules, each with one that refuses and may be true wherever it is: it turns on no more."""
    index = _Index()
    turned_on: dict[frozenset[Term], None] = {}
    for rule in everything:
        if rule.refuses:
            turned_on[rule.claim.terms] = None
            index.add(rule.claim.terms, rule)
    # A set of terms is found by the one of them that fewest others have.
    often = Counter(term for terms in turned_on for term in terms)
    by_term: dict[Term | None, list[frozenset[Term]]] = defaultdict(list)
    for terms in turned_on:
        by_term[min(terms, key=lambda it: (often[it], repr(it.key)), default=None)].append(terms)
    for rule in everything:
        known = dict.fromkeys(fact.term for case in rule.claim.when_true for fact in case)
        for term in (None, *known):
            for terms in by_term.get(term, ()):
                if terms <= known.keys():
                    yield from ((rule, wide) for wide in index.about(terms, rule))
