"""However messages are lost and servers forget, nothing old is believed after a look."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sidecar.adapters.redis import changes
from sidecar.adapters.redis.changes import RedisChanges

KEYS: Final = ("a", "b", "c")
KIND: Final = "kind"


@dataclass
class Server:
    """What a server holds, and the messages that are under way from it.

    Attributes:
        held: by key, which push was the last.
        kept: what another server knows that may take its place.
    """

    version: str = ""
    held: dict[str, int] = field(default_factory=dict)
    under_way: deque[str] = field(default_factory=deque)
    kept: tuple[str, dict[str, int]] = ("", {})
    pushes: int = 0
    database: int = 0

    def push(self, key: str) -> None:
        """As announce.lua has it."""
        self.pushes += 1
        self.held[key] = self.pushes
        number = int(self.version.partition("-")[0] or 0) + 1
        before, self.version = self.version, f"{number}-word{self.pushes}"
        self.under_way.append(f"{before} {self.version} {KIND} {key}")

    def keep(self) -> None:
        """Let another server have all that is here."""
        self.kept = self.version, dict(self.held)

    def fail_over(self) -> None:
        """Let that one take the place of this one; what came since is lost, told or not."""
        self.under_way.clear()
        self.version, self.held = self.kept[0], dict(self.kept[1])

    async def command(self, *words: object, since: float) -> str | None:
        return self.version or None


class Told(RedisChanges):
    """Changes that are told by hand."""

    def _begin_listening(self, wait_s: float) -> None:
        self._is_listening = True


class Memory:
    """What one replica believes."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.changes = Told(server)  # type: ignore[arg-type] # as much of it as is asked
        self.changes._begin_listening(0.0)
        self.changes.tell(KIND, self.forget)
        self.believed: dict[str, int | None] = {}

    def forget(self, key: str | None) -> None:
        if key is None:
            self.believed.clear()
        else:
            self.believed.pop(key, None)

    def read(self, key: str) -> None:
        self.believed.setdefault(key, self.server.held.get(key))

    def notice(self) -> None:
        """Whoever listened is cut off."""
        self.changes._note_silence()
        self.changes._begin_listening(0.0)

    def hear(self) -> None:
        if self.server.under_way:
            self.changes._take(self.server.under_way.popleft())

    async def look(self) -> None:
        await self.changes._look(0.0)
        held = self.server.held
        assert self.believed == {key: held.get(key) for key in self.believed}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["push", "read"]), st.sampled_from(KEYS)),
        st.tuples(st.sampled_from(["hear", "lose", "look", "keep", "fail over"]), st.just("")),
    ),
    max_size=60,
)


@settings(max_examples=400, deadline=None)
@example([("push", "a"), ("hear", ""), ("keep", ""), ("read", "a"), ("push", "a"), ("hear", ""),
          ("read", "a"), ("fail over", ""), ("look", "")])  # fmt: skip
@example([("push", "a"), ("read", "a"), ("hear", ""), ("read", "b"), ("push", "b"), ("lose", ""),
          ("push", "a"), ("hear", ""), ("look", "")])  # fmt: skip
@example([("push", "a"), ("read", "a"), ("fail over", "")])
@example([("look", ""), ("push", "a"), ("read", "a"), ("fail over", "")])
@given(STEPS)
def test_after_a_look_nothing_is_believed_that_is_not_so(steps: Sequence[tuple[str, str]]) -> None:
    async def play() -> None:
        server = Server()
        memory = Memory(server)
        for step, key in steps:
            match step:
                case "push":
                    server.push(key)
                case "read":
                    memory.read(key)
                case "hear":
                    memory.hear()
                case "lose" if server.under_way:
                    server.under_way.popleft()
                case "keep":
                    server.keep()
                case "fail over":
                    server.fail_over()
                    memory.notice()
                case "look":
                    await memory.look()
        await memory.look()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changes, "_UNDER_WAY_S", 0.0)
        asyncio.run(play())


async def test_a_message_that_comes_as_it_should_makes_nothing_else_old() -> None:
    server = Server()
    memory = Memory(server)
    server.push("a")
    await memory.look()
    memory.hear()
    losses = memory.changes.losses
    for number in range(50):
        memory.read("b")
        server.push("a")
        memory.hear()
        if number % 7 == 0:
            await memory.look()
        assert "b" in memory.believed
    assert memory.changes.losses == losses


async def test_a_message_that_comes_a_moment_after_its_version_is_waited_for() -> None:
    server = Server()
    memory = Memory(server)
    await memory.look()
    memory.read("b")
    server.push("a")
    looking = asyncio.create_task(memory.changes._look(0.0))
    await asyncio.sleep(0)
    memory.hear()
    await looking
    assert "b" in memory.believed
