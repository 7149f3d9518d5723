"""Which faults hold at this instant, and what have they done so far?"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass


def any_command(_: bytes) -> bool:
    """Every command, whatever it says."""
    return True


@dataclass(frozen=True, slots=True)
class Faults:
    """What happens to whatever passes from now on; nothing, where nothing is said.

    Attributes:
        commands_late_ms, replies_late_ms: how long each message is under way.
        drop_share, drop_every: of the replies, each of which says that Redis has done what it
            was told, so many are lost: that share, by lot; one after so many.
        drop_of: the commands whose replies may be lost.
        drop_silently: after a lost reply its connection stays open and no reply comes on it any
            more, though commands pass; otherwise the connection is reset.
        stalls: nothing passes, but nothing is lost: all of it passes later.
        swallows: nothing passes, and what was under way is lost. A connection that has lost a
            message never carries another.
        drip_bytes, drip_ms: so many bytes pass at once, with a pause after them.
        refuses: no new connections.
    """

    commands_late_ms: float = 0.0
    replies_late_ms: float = 0.0
    drop_share: float = 0.0
    drop_every: int = 0
    drop_of: Callable[[bytes], bool] = any_command
    drop_silently: bool = False
    stalls: bool = False
    swallows: bool = False
    drip_bytes: int = 0
    drip_ms: float = 1.0
    refuses: bool = False


def lose_one(word: bytes, nth: int = 1) -> Faults:
    """Lose the reply to one command with this word in it, the nth, and no other."""
    left = [nth]

    def is_it(command: bytes) -> bool:
        left[0] -= word in command
        return word in command and left[0] == 0

    return Faults(drop_every=1, drop_of=is_it)


@dataclass(slots=True)
class Seen:
    """What the proxy saw and did so far.

    Attributes:
        connections: made in all.
        live: of them, open now.
        commands, replies: that came in.
        dropped: replies that were chosen to be lost.
        swallowed: messages that were lost otherwise.
        reset: connections that were cut.
    """

    connections: int = 0
    live: int = 0
    commands: int = 0
    replies: int = 0
    dropped: int = 0
    swallowed: int = 0
    reset: int = 0


class Weather:
    """What holds for every connection at this instant; only the proxy's thread touches it."""

    def __init__(self, seed: int) -> None:
        self.faults = Faults()
        self.seen = Seen()
        self.flow = asyncio.Event()
        self._dice = random.Random(seed)
        self._droppable = 0

    def drops(self, command: bytes) -> bool:
        """Whether the reply to this command is lost."""
        faults = self.faults
        if not (faults.drop_share or faults.drop_every) or not faults.drop_of(command):
            return False
        self._droppable += 1
        by_lot = self._dice.random() < faults.drop_share
        return by_lot or (faults.drop_every > 0 and self._droppable % faults.drop_every == 0)
