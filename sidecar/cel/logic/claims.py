"""Is an expression true whatever is asked, or never, or whenever another one is?"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

from sidecar.cel.logic.cases import ANY, Case, Cases, Possibilities, cases, joined
from sidecar.cel.logic.facts import Fact
from sidecar.cel.logic.terms import Key, Term, key_of
from sidecar.cel.typed import Const, Node
from sidecar.cel.types import BOOL

ALWAYS = Const(BOOL, 0, 0, True)
"""What stands for a condition that is not there."""


@dataclass(frozen=True)
class Claim:
    """An expression of which something can be proved.

    Args:
        node: the expression with everything written out.
        may_err: whether it may have no value, as it was before anything was written out.
        can: what is possible.
        given: what is known wherever it is evaluated.
    """

    node: Node
    may_err: bool
    can: Possibilities = field(compare=False)
    given: Cases = ANY

    @cached_property
    def key(self) -> Key:
        """How it is built."""
        return key_of(self.node)

    @cached_property
    def when_true(self) -> Cases:
        """The cases in which it can be true."""
        return joined([self.given, cases(self.node, True, self.can)], self.can)

    @cached_property
    def when_false(self) -> Cases:
        """The cases in which it can be false, apart from what is given."""
        return cases(self.node, False, self.can)

    @cached_property
    def terms(self) -> frozenset[Term]:
        """What decides over it."""
        return frozenset(fact.term for case in self.when_false for fact in case)

    @property
    def is_never_true(self) -> bool:
        """Whether it certainly is false or an error."""
        return not self.when_true

    @property
    def is_never_false(self) -> bool:
        """Whether it certainly is true or an error."""
        return not joined([self.given, self.when_false], self.can)

    @property
    def is_always_true(self) -> bool:
        """Whether it certainly is true."""
        return self.is_never_false and not self.may_err

    def implies(self, other: Claim) -> bool:
        """Whether the other one certainly is true whenever this one is."""
        if other.may_err and other.key != self.key:
            return False
        # A single case of the other that goes with one of ours is enough to know that it does not.
        return not any(
            self.can((*one, *against)) for against in other.when_false for one in self.when_true
        )

    def contradiction(self, outcome: bool = True) -> Collection[Fact]:
        """One or two facts that an outcome demands and that can never be, if it is that simple."""
        demanded = cases(self.node, outcome, _everything)
        if len(demanded) != 1:
            return ()
        facts = demanded[0]
        alone = next((fact for fact in facts if not self.can((fact,))), None)
        if alone is not None:
            return (alone,)
        pairs = combinations(facts, 2)
        return next((pair for pair in pairs if not self.can(pair)), ())


def _everything(_: Case) -> bool:
    return True
