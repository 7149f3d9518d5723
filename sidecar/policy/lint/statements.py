"""What does each expression of a directory say, with everything in it written out?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf

from sidecar.cel.logic.cases import ANY, Bounds, Cases, Possibilities
from sidecar.cel.logic.claims import Claim
from sidecar.cel.logic.facts import Fact
from sidecar.cel.logic.failing import may_fail
from sidecar.cel.logic.resolved import resolved
from sidecar.cel.logic.terms import Term, term_of
from sidecar.cel.typed import Field, Node, Variable
from sidecar.cel.types import STRING, Object
from sidecar.cel.values import INT_MAX
from sidecar.domain.request import MAX_INTEGER
from sidecar.policy.conditions import Condition
from sidecar.policy.globs import is_wild
from sidecar.policy.lint.written import in_force, rules
from sidecar.policy.load import Examined
from sidecar.policy.source import Path
from sidecar.policy.unit import Unit

_COUNT = (0, MAX_INTEGER)
BOUNDS = Bounds(
    paths={
        ("request", "estimated_tokens"): _COUNT,
        ("request", "estimate", "total_tokens"): _COUNT,
        # A commit may leave these untold.
        ("request", "estimate", "*"): (-1, MAX_INTEGER),
        ("limits", "*", "ratio"): (0.0, inf),
        ("limits", "*", "*"): (0, INT_MAX),
    },
    functions={
        "getFullYear": (0, 10_000), "getMonth": (0, 11), "getDate": (1, 31),
        "getDayOfMonth": (0, 30), "getDayOfWeek": (0, 6), "getDayOfYear": (0, 365),
        "getHours": (0, 23), "getMinutes": (0, 59), "getSeconds": (0, 59),
        "getMilliseconds": (0, 999), "size": (0, INT_MAX), "indexOf": (-1, INT_MAX),
        "lastIndexOf": (-1, INT_MAX),
    },
)  # fmt: skip
_MOST_GLOBS = 16


@dataclass(frozen=True)
class Statement:
    """An expression at its place.

    Attributes:
        given: what is known wherever it is evaluated.
        words: what the names in it stand for.
    """

    unit: Unit
    path: Path
    condition: Condition
    given: Cases
    can: Possibilities
    words: "Words"

    @property
    def tree(self) -> Node:
        """The expression as it is written."""
        return self.condition.program.tree

    @property
    def source(self) -> str:
        """Its text."""
        return self.condition.program.source

    @cached_property
    def written_out(self) -> Node:
        """The expression with constants, variables and locals in their places."""
        return self.words.written_out(self.tree)

    @cached_property
    def claim(self) -> Claim:
        """The expression as something of which something can be proved."""
        return Claim(self.written_out, _may_err(self.condition), self.can, self.given)

    def claim_of(self, part: Node) -> Claim:
        """The same of a part of it; whether that may err is not known."""
        return Claim(self.words.written_out(part), True, self.can, self.given)


def statements(examined: Examined) -> Iterator[Statement]:
    """Every expression of every file."""
    can = Possibilities(BOUNDS)
    known = {
        (id(rule.unit), rule.path): given_of(rule.plans, rule.section.match.plugins)
        for rule in rules(examined)
    }
    holders: dict[tuple[int, Path], list[str]] = {}
    for plan in examined.plans.units:
        for limit in in_force(examined, plan):
            holders.setdefault((id(limit.unit), limit.path), []).append(plan)
    known |= {place: given_of(plans, None) for place, plans in holders.items()}
    for unit in examined.units:
        words = Words.of(unit)
        for path, condition in unit.expressions.items():
            given = known.get((id(unit), path[:-1]), ANY)
            yield Statement(unit, path, condition, given, can, words)


def given_of(plans: Sequence[str], plugins: Sequence[str] | None) -> Cases:
    """What the `match` of a rule says of the requests that it looks at."""
    if not plans:
        return ANY
    about_plan = Fact.of(_member("plan", "id"), "in", tuple(plans), True, None)
    if plugins is None or len(plugins) > _MOST_GLOBS:
        return ((about_plan,),)
    plugin = _member("request", "plugin")
    some = Fact.of(plugin, "==", "", False, None)
    return [(about_plan, some, *_facts_of_glob(plugin, glob)) for glob in plugins]


def _facts_of_glob(term: Term, glob: str) -> Sequence[Fact]:
    """What a glob says of the beginning and the end of a name; what is between is left out."""
    if not is_wild(glob):
        return (Fact.of(term, "==", glob, True, None),)
    plain = glob.replace("?", "*")
    head, tail = plain[: plain.index("*")], plain[plain.rindex("*") + 1 :]
    ends = (("startsWith", head), ("endsWith", tail))
    return [Fact.of(term, test, text, True, None) for test, text in ends if text]


def _member(root: str, name: str) -> Term:
    return term_of(Field(STRING, 0, 0, Variable(Object(root, {}), 0, 0, root), name))


@dataclass(frozen=True, slots=True)
class Words:
    """What the constants and variables of a file stand for."""

    unit: Unit
    variables: Mapping[str, Node]

    @classmethod
    def of(cls, unit: Unit) -> "Words":
        """Those of a file; each variable uses only those above it."""
        variables: dict[str, Node] = {}
        words = cls(unit, variables)
        for name, condition in unit.scope.variables.items():
            variables[name] = words.written_out(condition.program.tree)
        return words

    def written_out(self, node: Node) -> Node:
        """An expression of the file with all of them in their places."""
        unit = self.unit
        return resolved(node, unit.file.constants, self.variables.get, unit.source.name)


def _may_err(condition: Condition) -> bool:
    """Whether an expression or a variable that it needs may err; all of these are had first."""
    trees = [condition.program.tree]
    trees += [condition.scope.variables[name].program.tree for name in condition.variables]
    return any(map(may_fail, trees))
