"""Policies after compilation: everything that a decision needs, prepared at load."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import groupby, islice
from typing import Literal

from sidecar.cel import fuse
from sidecar.domain.limits import Limit
from sidecar.domain.modes import FailureMode, Mode, Refusal
from sidecar.domain.request import Subject
from sidecar.domain.wallet import WalletTerms
from sidecar.policy.conditions import Condition, Scope
from sidecar.policy.glob_index import GlobIndex
from sidecar.policy.globs import Globs

MOST_NAMES = 4096
"""Plugins of which is remembered what concerns them. They repeat; callers may invent them too."""
MOST_FUSED = 64
"""Rules that become one function; of more, most have nothing to do with a request."""
MOST_SETS = 16
"""Such functions of one set of policies: they are made while it is loaded."""

Evaluate = Callable[[Mapping[str, object]], tuple[object, ...]]
"""What some conditions come to, in their order."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where in which file something is written."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class PlanPlaces:
    """Where a plan, or one that it extends, names plugins and features.

    Attributes:
        plugins: the whole list.
        allow, deny: each of its globs, in their order.
    """

    plugins: Origin
    allow: tuple[Origin, ...]
    deny: tuple[Origin, ...]
    features: Mapping[str, Origin]


@dataclass(frozen=True, slots=True)
class Override:
    """Another maximum for some subjects, for a time."""

    id: str
    apps: frozenset[str]
    tenants: frozenset[str]
    users: frozenset[str]
    maximum: int | None
    begins: datetime | None
    ends: datetime | None
    origin: Origin

    @property
    def rank(self) -> int:
        """How narrow it is: a user before a tenant before an app, both before one of them."""
        return 4 * bool(self.users) + 2 * bool(self.tenants) + bool(self.apps)

    @property
    def leading(self) -> tuple[str, frozenset[str]]:
        """The narrowest list that it has, with its name: whom one looks it up by."""
        if self.users:
            return "user", self.users
        return ("tenant", self.tenants) if self.tenants else ("app", self.apps)

    def applies(self, subject: Subject, now: datetime) -> bool:
        """Whether it holds for a subject now; every list that it has must name the subject."""
        return (
            (not self.apps or subject.app_id in self.apps)
            and (not self.tenants or subject.tenant_id in self.tenants)
            and (not self.users or subject.user_id in self.users)
            and (self.begins is None or self.begins <= now)
            and (self.ends is None or now < self.ends)
        )


class Overrides:
    """The overrides of one limit, found by whom they are for: there may be thousands."""

    def __init__(self, overrides: Iterable[Override] = ()) -> None:
        self.all = tuple(sorted(overrides, key=lambda it: -it.rank))
        self._by_name: dict[tuple[str, str], list[Override]] = {}
        for override in self.all:
            kind, names = override.leading
            for name in names:
                self._by_name.setdefault((kind, name), []).append(override)

    def find(self, subject: Subject, now: datetime) -> Override | None:
        """The narrowest that holds for a subject now."""
        if not self._by_name:
            return None
        keys = (("user", subject.user_id), ("tenant", subject.tenant_id), ("app", subject.app_id))
        for key in keys:
            for override in self._by_name.get(key, ()):
                if override.applies(subject, now):
                    return override
        return None

    def sharing(self) -> Iterable[Sequence[Override]]:
        """Overrides for one and the same name, which alone can meet in one subject."""
        return self._by_name.values()


@dataclass(frozen=True, slots=True)
class CompiledLimit:
    """A limit with the condition that chooses its requests and the overrides of its maximum.

    Attributes:
        warn_at: parts of the maximum, as numerator and denominator, None for never.
        is_plain: whether it is the same limit for everybody, whatever is asked.
    """

    limit: Limit
    when: Condition | None
    warn_at: tuple[int, int] | None
    overrides: Overrides
    origin: Origin
    is_plain: bool = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        varies = self.when is not None or self.overrides.all or self.limit.rollover is not None
        object.__setattr__(self, "is_plain", not varies)


@dataclass(frozen=True, slots=True)
class CompiledWallet:
    """What a plan says of its users' wallets, and where."""

    terms: WalletTerms
    origin: Origin


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule; None as glob or condition matches every request."""

    id: str
    plugins: Globs | None
    when: Condition | None
    effect: Literal["deny", "warn"]
    on_error: Literal["deny", "warn", "skip"]
    mode: Mode
    refusal: Refusal
    message: str
    message_expr: Condition | None
    reads_limits: bool
    origin: Origin

    @property
    def may_refuse(self) -> bool:
        """Whether it can make an answer a deny, by its effect or by an error in it."""
        return self.mode is Mode.ENFORCE and "deny" in (self.effect, self.on_error)


@dataclass(frozen=True, slots=True)
class Asked:
    """Rules of one file that are asked together, as nearly all of them have nothing to say.

    Attributes:
        variables: all that some of their conditions need, in the order in which they are had.
        tests: each rule with what evaluates its condition.
        at_once: what all of them come to, in one call; None where that was not prepared.
        silent: what that gives when none of them speaks.
    """

    scope: Scope | None
    variables: tuple[str, ...]
    tests: tuple[tuple[CompiledRule, Callable[[Mapping[str, object]], object]], ...]
    at_once: Evaluate | None = None
    silent: tuple[bool, ...] = ()


class Fusing:
    """Puts conditions that are asked together into one function, while policies are loaded.

    That takes a fifth of a millisecond for each, so it is done for few together, once for all
    plans that have the same.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], Evaluate] = {}

    def of(self, rules: Sequence[CompiledRule]) -> Evaluate | None:
        """The function, None where they stay by themselves."""
        programs = [rule.when.program for rule in rules if rule.when is not None]
        if not 1 < len(programs) == len(rules) <= MOST_FUSED:
            return None
        key = tuple(map(id, programs))
        known = self._known.get(key)
        if known is None and len(self._known) < MOST_SETS:
            known = self._known[key] = fuse(programs)
        return known


def asked_together(
    rules: Iterable[CompiledRule], fusing: Fusing | None = None
) -> tuple[Asked, ...]:
    """The rules by their files, in file order; those without a condition always speak."""
    return tuple(
        _asked(scope, tuple(group), fusing)
        for scope, group in groupby(rules, key=lambda rule: rule.when and rule.when.scope)
    )


def _asked(scope: Scope | None, rules: Sequence[CompiledRule], fusing: Fusing | None) -> Asked:
    needed = {name for rule in rules if rule.when for name in rule.when.variables}
    variables = tuple(name for name in scope.variables if name in needed) if scope else ()
    tests = tuple((it, it.when.program.evaluate if it.when else _always) for it in rules)
    at_once = None if fusing is None else fusing.of(rules)
    return Asked(scope, variables, tests, at_once, (False,) * len(tests))


def _always(_: Mapping[str, object]) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Concerned:
    """The rules that look at requests for one plugin, in file order.

    Attributes:
        early: those that look at no counter.
        late: those that do.
        waits: whether one of those may refuse.
    """

    rules: tuple[CompiledRule, ...]
    fusing: InitVar[Fusing | None] = None
    early: tuple[Asked, ...] = field(init=False)
    late: tuple[Asked, ...] = field(init=False)
    waits: bool = field(init=False)

    def __post_init__(self, fusing: Fusing | None) -> None:
        late = [rule for rule in self.rules if rule.reads_limits]
        early = [rule for rule in self.rules if not rule.reads_limits]
        object.__setattr__(self, "early", asked_together(early, fusing))
        object.__setattr__(self, "late", asked_together(late, fusing))
        object.__setattr__(self, "waits", any(rule.may_refuse for rule in late))


class Concerns:
    """The rules of a plan by the plugin that is asked for.

    Args:
        fusing: puts those together that concern the plugins which can be foreseen.

    Attributes:
        find: the rules that concern a plugin; with none asked for, those without globs.
    """

    def __init__(self, rules: Sequence[CompiledRule], fusing: Fusing | None = None) -> None:
        # What remembers knows nothing of who asks it: policies that nobody uses any more shall
        # be gone at once, without a search for what refers to itself.
        self.find = lru_cache(maxsize=MOST_NAMES)(_Lookup(rules, fusing).find)


class _Lookup:
    def __init__(self, rules: Sequence[CompiledRule], fusing: Fusing | None) -> None:
        self._rules = tuple(rules)
        self._index = GlobIndex([rule.plugins for rule in rules])
        # Of names that the same rules concern, as invented ones are, one answer is kept.
        self._shared: dict[tuple[int, ...], Concerned] = {}
        self._foreseen: dict[tuple[int, ...], Concerned] = {}
        for name in () if fusing is None else _names_of(rules):
            positions = self._index.find(name)
            if positions not in self._foreseen:
                self._foreseen[positions] = Concerned(self._at(positions), fusing)

    def find(self, plugin: str) -> Concerned:
        positions = self._index.find(plugin)
        known = self._foreseen.get(positions) or self._shared.get(positions)
        if known is None:
            if len(self._shared) >= MOST_NAMES:
                self._shared.clear()
            known = self._shared[positions] = Concerned(self._at(positions))
        return known

    def _at(self, positions: Iterable[int]) -> tuple[CompiledRule, ...]:
        return tuple(self._rules[position] for position in positions)


def _names_of(rules: Iterable[CompiledRule]) -> Iterator[str]:
    """No plugin, one that no rule names, and one that each of a few globs matches."""
    yield from ("", "x")
    globs = (glob for rule in rules if rule.plugins for glob in rule.plugins.patterns)
    for glob in islice(globs, MOST_SETS):
        yield glob.replace("*", "x").replace("?", "x")


@dataclass(frozen=True, slots=True)
class CompiledPlan:
    """A plan with all that it inherits.

    Attributes:
        limits: longest window first.
        wallet: None where nothing is held against a balance.
        rules: those whose `match` names this plan or none, in file order.
        facts: what expressions see as `plan`.
        concerns: the rules again, by the plugin that is asked for.
        is_local: whether some of it is decided by what is remembered when the store is away.
    """

    id: str
    name: str
    mode: Mode
    failure_mode: FailureMode
    plugins_allow: Globs
    plugins_deny: Globs
    features: Mapping[str, bool]
    limits: tuple[CompiledLimit, ...]
    rules: tuple[CompiledRule, ...]
    facts: Mapping[str, object]
    origin: Origin
    places: PlanPlaces
    concerns: Concerns = field(compare=False, repr=False)
    is_local: bool = False
    wallet: CompiledWallet | None = None

    def allows_plugin(self, name: str) -> bool:
        """Whether the plan includes a plugin; a deny wins."""
        return self.plugins_allow.match(name) and not self.plugins_deny.match(name)

    def allows_feature(self, name: str) -> bool:
        """Whether the plan includes a feature; `*` speaks for all that are not named."""
        return self.features.get(name, self.features.get("*", False))
