"""Which answers would change, for whom, by what, and when? Summed up, not kept one by one."""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nsmallest
from itertools import permutations
from typing import Final, TypeVar

from sidecar.domain.decision import Effect
from sidecar.domain.request import Subject
from sidecar.policy.simulation.events import Said

MOST_USERS: Final = 50_000
"""Users with changes that are told apart; of more it is only known that there are some."""
_SEVERITY: Final = (Effect.ALLOW, Effect.WARN, Effect.DENY)

Change = tuple[Effect, Effect]
_CHANGES: Final[Sequence[Change]] = tuple(permutations(_SEVERITY, 2))
K = TypeVar("K")


@dataclass(slots=True)
class Spell:
    """How often something came, and from when to when."""

    first: datetime
    last: datetime
    count: int = 0
    changes: Counter[Change] = field(default_factory=Counter)

    def add(self, change: Change, at: datetime) -> None:
        """Count one more."""
        self.count += 1
        self.changes[change] += 1
        self.first, self.last = min(self.first, at), max(self.last, at)


class Changes:
    """Sums up where two answers to the same question differ in their effect.

    Attributes:
        compared, changed: questions.
        effects: what the candidate says, of all that it was asked.
        by_change, by_id: the changes, by what became what and by what made the difference.
    """

    def __init__(self, most_users: int = MOST_USERS) -> None:
        self._most_users = most_users
        self._users: dict[tuple[str, str], array[int]] = {}
        self.compared = 0
        self.changed = 0
        self.effects: Counter[Effect] = Counter()
        self.by_change: dict[Change, Spell] = {}
        self.by_id: dict[str, Spell] = {}
        self.are_all_users_told = True

    @property
    def users(self) -> int:
        """How many users have a change, at least."""
        return len(self._users)

    def top_users(self, count: int) -> Sequence[tuple[tuple[str, str], Counter[Change]]]:
        """The users (app, user) with the most changes."""
        rows = nsmallest(count, self._users.items(), key=lambda row: (-sum(row[1]), row[0]))
        return [(user, _named(found)) for user, found in rows]

    def add(self, base: Said, candidate: Said, subject: Subject, at: datetime) -> None:
        """Compare two answers to one question."""
        self.compared += 1
        if base.effect is candidate.effect:
            return
        self.changed += 1
        change = base.effect, candidate.effect
        _count(self.by_change, change, change, at)
        for name in difference(base, candidate):
            _count(self.by_id, name, change, at)
        user = subject.app_id, subject.user_id
        known = self._users.get(user)
        if known is None:
            if len(self._users) >= self._most_users:
                self.are_all_users_told = False
                return
            known = self._users[user] = array("I", [0] * len(_CHANGES))
        known[_CHANGES.index(change)] += 1


def _named(found: Iterable[int]) -> Counter[Change]:
    return Counter({change: n for change, n in zip(_CHANGES, found, strict=True) if n})


def _count(spells: dict[K, Spell], key: K, change: Change, at: datetime) -> None:
    spell = spells.get(key)
    if spell is None:
        spell = spells[key] = Spell(at, at)
    spell.add(change, at)


def difference(base: Said, candidate: Said) -> Iterable[str]:
    """Ids that make the harsher of two answers harsher; each once.

    What both say is no difference, unless they differ in nothing else: a limit that warns here
    and refuses there.
    """
    is_harsher = _SEVERITY.index(candidate.effect) > _SEVERITY.index(base.effect)
    harsh, mild = (candidate, base) if is_harsher else (base, candidate)
    ids = dict.fromkeys(harsh.because)
    only_there = [name for name in ids if name not in mild.because]
    return only_there or list(ids)
