"""Which users are near a limit of which no statement is kept: of a minute, a day, a lifetime?

Such a counter is found by whoever knows its user, and no store lists users. So a few are asked
after at a time: first those whom something was decided on lately, then those who were near when
they were asked after last, then whoever has used something of a month. What they had is shown for
a while; nobody pays for it while nobody looks.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sidecar.api.dashboard.asking import Answers, source
from sidecar.api.dashboard.closest import NEAR, SHOWN, Near
from sidecar.api.dashboard.words import instant
from sidecar.domain.limits import STATED
from sidecar.ports import Clock

_AT_A_TIME: Final = 8
"""Users that are asked after together."""
_PAUSE_S: Final = 2.0
_FRESH_S: Final = 5.0
"""How long nobody asks after the same user again."""
_SHOWN_S: Final = 60.0
"""How long it is shown what somebody had."""
_USERS: Final = 600
"""Users of one app of whom it is remembered when they were asked after."""
_APPS: Final = 32
_LATELY: Final = 20
_LATELY_S: Final = 5.0
"""How long these are the latest; files may have to be read for it."""
_STATED: Final = frozenset(window.value for window in STATED)
_OWN: Final = frozenset({"app", "user"})
"""Of whom a limit may be counted: a model or a plugin would have to be named."""


@dataclass(frozen=True, slots=True)
class Passing:
    """What was found.

    Attributes:
        lines: of those that were asked after lately, the closest first.
        near, over: how many there are in all.
        users: how many were asked after; 0 where their plans have no such limit.
    """

    lines: tuple[Near, ...] = ()
    near: int = 0
    over: int = 0
    users: int = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    at_s: float
    lines: tuple[Near, ...]

    @property
    def is_near(self) -> bool:
        return any(line.part >= NEAR for line in self.lines)


@dataclass(slots=True)
class _App:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: OrderedDict[str, _Asked] = field(default_factory=OrderedDict)
    looked_s: float = float("-inf")
    lately: tuple[str, ...] = ()
    lately_s: float = float("-inf")

    def due(self, users: Iterable[str], before_s: float) -> list[str]:
        """Those whom nobody has asked after since, the longest time first."""
        asked_s = {user: self._asked_s(user) for user in users}
        return sorted(
            (user for user, at_s in asked_s.items() if at_s <= before_s), key=asked_s.__getitem__
        )

    def forget(self, before_s: float) -> None:
        """Keep nothing of what was told before, but when it was."""
        for user, asked in self.users.items():
            if asked.at_s < before_s and asked.lines:
                self.users[user] = _Asked(asked.at_s, ())
        while len(self.users) > _USERS:
            self.users.popitem(last=False)

    def _asked_s(self, user: str) -> float:
        return self.users[user].at_s if user in self.users else float("-inf")


class PassingLimits:
    """Asks after users."""

    def __init__(self, answers: Answers, clock: Clock) -> None:
        self._answers = answers
        self._clock = clock
        self._apps: OrderedDict[str, _App] = OrderedDict()

    async def of(self, app_id: str, others: Sequence[str]) -> Passing:
        """The closest ones, after asking after some more users.

        Args:
            others: users of the app to ask after, beside those of the latest decisions.

        Raises:
            Unavailable, RequestFault: a user cannot be asked after.
        """
        app = self._apps.setdefault(app_id, _App())
        self._apps.move_to_end(app_id)
        if len(self._apps) > _APPS:
            self._apps.popitem(last=False)
        async with app.lock:
            if self._clock.monotonic() >= app.looked_s + _PAUSE_S:
                await self._note_latest(app_id, app)
                await self._look(app_id, app, others)
                app.looked_s = self._clock.monotonic()
            return self._found(app)

    async def _note_latest(self, app_id: str, app: _App) -> None:
        now_s = self._clock.monotonic()
        if now_s < app.lately_s + _LATELY_S:
            return
        asked = source("/v1/decisions", app_id=app_id, limit=str(_LATELY))
        told = await self._answers.of(asked) or {"decisions": ()}
        app.lately = tuple(each["request"]["user_id"] for each in told["decisions"])
        app.lately_s = now_s

    async def _look(self, app_id: str, app: _App, others: Iterable[str]) -> None:
        now_s = self._clock.monotonic()
        near = [user for user, asked in app.users.items() if asked.is_near]
        first = app.due((*app.lately, *near), now_s - _FRESH_S)
        then = app.due((user for user in others if user not in first), now_s - _FRESH_S)
        # Half of them is for the others, or they would never come to their turn, nor the first.
        some = first[: max(_AT_A_TIME // 2, _AT_A_TIME - len(then))]
        some += then[: _AT_A_TIME - len(some)]
        told = await asyncio.gather(*(self._asked_after(app_id, user) for user in some))
        for user, lines in zip(some, told, strict=True):
            app.users[user] = _Asked(now_s, lines)
            app.users.move_to_end(user)
        app.forget(now_s - _SHOWN_S)

    async def _asked_after(self, app_id: str, user_id: str) -> tuple[Near, ...]:
        told = await self._answers.of(source("/v1/entitlements", app_id=app_id, user_id=user_id))
        return () if told is None else tuple(_lines(user_id, told["limits"]))

    def _found(self, app: _App) -> Passing:
        now, since_s = self._clock.now(), self._clock.monotonic() - _SHOWN_S
        lately = [asked for asked in app.users.values() if asked.at_s >= since_s]
        # What all users share was told by each of them: what the last one said holds.
        found = {(line.user_id, line.limit): line for asked in lately for line in asked.lines}
        lines = [line for line in found.values() if line.ends_at is None or line.ends_at > now]
        lines.sort(key=lambda line: -line.part)
        over = sum(line.part >= 1 for line in lines)
        near = sum(line.part >= NEAR for line in lines) - over
        users = len(lately) if found else 0
        return Passing(tuple(lines[:SHOWN]), near, over, users)


def _lines(user_id: str, limits: Iterable[Mapping[str, Any]]) -> Iterator[Near]:
    for limit in limits:
        per, bound = frozenset(limit["per"]), limit["limit"]
        if limit["window"] in _STATED or bound is None or not per <= _OWN:
            continue
        yield Near(
            user_id if "user" in per else "",
            limit["id"],
            limit["meter"],
            limit["window"],
            # What runs now is all that there is of some.
            limit["used"] + limit["reserved"],
            bound + limit["granted"],
            instant(limit["resets_at"]),
        )
