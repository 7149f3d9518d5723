"""How does a command reach Redis, whichever server that is, and what if it does not?

Where one server stands for all, it is asked; if the connection breaks, once more. Where others
can take its place (sentinels, a Cluster), a command is sent again until its time is over. Every
script knows what it has done already, so it may come any number of times.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from typing import Final, NoReturn

from sidecar.adapters.address import Arrangement, Host, read_redis_address
from sidecar.adapters.redis.channel import (
    Argument,
    Channel,
    NotReplicated,
    Refusal,
    Reply,
    StoreUnavailable,
)
from sidecar.adapters.redis.cluster import Cluster
from sidecar.adapters.redis.dial import Dialer, Unreachable
from sidecar.adapters.redis.node import Node
from sidecar.adapters.redis.script import Script
from sidecar.adapters.redis.sentinel import Sentinels
from sidecar.adapters.watches import StoreWatches
from sidecar.ports.watching import StoreWatch

__all__ = ["Argument", "RedisConnection", "Reply", "Script", "StoreUnavailable"]

_SPACING_S: Final = 0.05
_PAUSE_S: Final = 0.01
_AT_ONCE: Final = 5
"""So often a command is passed on from node to node before it pauses."""

_HEALED: Final = 8
"""So often a server is given a script that it does not know, for one call."""

_KEYLESS: Final = frozenset(
    {
        "CLIENT", "CONFIG", "DBSIZE", "ECHO", "FLUSHALL", "INFO", "KEYS", "PING", "SCRIPT", "TIME",
    }
)  # fmt: skip
"""Commands whose second word is no key."""
_NO_MASTER: Final = frozenset({"LOADING", "MASTERDOWN", "NOREPLICAS", "READONLY", "UNBLOCKED"})
"""How a server answers that is no master, not any more or not yet."""
_PASSING: Final = _NO_MASTER | {"ASK", "CLUSTERDOWN", "TRYAGAIN"}
"""What is different in a moment, where several servers stand together.

A script does not follow ASK to a node that has only some keys of a slot yet: of those that it
finds out by itself it would make new ones there. It waits until all have arrived.
"""
_APART: Final = "Script attempted to access a non local key"
"""The same, of a script that has found such a key gone; it has written nothing by then."""
_PING: Final = "s3:ping"
_NONE: Final = object()
"""Instead of a reply."""
_Sent = tuple[Node, Channel, asyncio.Future[Reply]]


class RedisConnection:
    """A store that can be asked, over connections that are made again when they break.

    Args:
        url: as `sidecar.adapters.address` has it.
        timeout_s: how long one request may wait for the store in all.
        scripts: loaded on every new connection before anything else.
        watch: hears of each script and command.

    Raises:
        ConfigurationError: there is no such address.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float,
        scripts: Sequence[Script],
        watch: StoreWatch | None = None,
    ) -> None:
        self._watch = watch or StoreWatches()
        address = read_redis_address(url)
        self._dialer = dialer = Dialer(address, timeout_s=timeout_s, scripts=scripts)
        self._timeout_s = timeout_s
        self._closed_s = float("-inf")
        self._node: Node | None = None
        self._sentinels: Sentinels | None = None
        self._cluster: Cluster | None = None
        match address.arrangement:
            case Arrangement.ONE:
                self._node = Node(address.shown, dialer.channel)
            case Arrangement.SENTINEL:
                self._sentinels = Sentinels(dialer, address)
                self._node = Node(address.shown, self._sentinels.master, spacing_s=_SPACING_S)
            case Arrangement.CLUSTER:
                self._cluster = Cluster(address.shown, address.hosts, dialer)
        self._is_patient = address.arrangement is not Arrangement.ONE

    async def evicts(self, *, since: float) -> bool:
        """Whether any server may throw keys away to make room, as far as they say.

        Raises:
            StoreUnavailable: one does not say.
        """
        return any(map(_evicts, await self.everywhere("INFO", "memory", since=since)))

    async def ready(self, *, since: float) -> None:
        """Return if writes are taken; of a Cluster, if they are in every slot.

        Raises:
            StoreUnavailable: they are not.
        """
        keys = [_PING]
        if self._cluster is not None:
            if unserved := await self._cluster.unserved(since + self._timeout_s):
                raise StoreUnavailable(f"{unserved} slots of the Cluster are served by no node")
            keys = self._cluster.a_key_of_each(_PING)
        writes = (self.command("SET", key, "", "PX", 60_000, since=since) for key in keys)
        await asyncio.gather(*writes)

    @property
    def is_one(self) -> bool:
        """Whether one server has all keys, so that a script may use those of several apps."""
        return self._cluster is None

    def is_over(self, since: float) -> bool:
        """Whether a request that waits since then has waited as long as it may."""
        return time.monotonic() >= since + self._timeout_s

    def run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument], *, since: float
    ) -> Awaitable[Reply]:
        """The reply of a script; all its keys lie in one slot, and it has one at least.

        Raises:
            StoreUnavailable: no reply in time, or an error instead of one.
        """
        command = ("EVALSHA", script.digest, len(keys), *keys, *arguments)
        return self._watched(script.name, command, keys[0], since, script)

    async def command(self, *command: Argument, since: float) -> Reply:
        """The reply of one command; it must be harmless to send twice.

        Its second word is its key. One without a key goes to every master of a Cluster: the
        reply is their lists in one, where they are lists, else that of one of them.

        Raises:
            StoreUnavailable: no reply in time, or an error instead of one.
        """
        if self._cluster is not None and command[0] in _KEYLESS:
            replies = await self.everywhere(*command, since=since)
            lists = [reply for reply in replies if isinstance(reply, list)]
            return list(chain(*lists)) if lists else replies[0]
        key = command[1] if len(command) > 1 else ""
        return await self._watched(str(command[0]), command, key, since)

    async def everywhere(self, *command: Argument, since: float) -> list[Reply]:
        """The replies of all masters to a command without a key.

        Raises:
            StoreUnavailable: one gave none in time, or an error instead of one.
        """
        if self._cluster is None:
            return [await self.command(*command, since=since)]
        deadline = since + self._timeout_s
        masters = await self._cluster.masters(deadline)
        return await asyncio.gather(*(self._of_master(node, command, deadline) for node in masters))

    async def ask(self, command: tuple[Argument, ...], *, since: float) -> Reply:
        """The raw reply, which may be a `Refusal`; the second word of the command is its key.

        Raises:
            StoreUnavailable: no reply in time.
        """
        key = command[1] if len(command) > 1 else ""
        return await self._ask(command, key, since + self._timeout_s, None)

    @property
    def database(self) -> int:
        """The number of the database; what is said of a topic is heard in all of them."""
        return self._dialer.database

    @asynccontextmanager
    async def hearing(self, topic: str) -> AsyncIterator[AsyncIterator[str]]:
        """What is said of a topic from now on, over a connection of its own, until it breaks.

        Any node of a Cluster tells what is published at another.

        Raises:
            Unreachable: there is none, or not any more.
        """
        host: Host | None = None
        if self._sentinels is not None:
            host = await self._sentinels.named()
        elif self._cluster is not None:
            host = self._cluster.any_host()
        async with self._dialer.hearing(host, topic) as messages:
            yield messages

    async def close(self) -> None:
        """Close every connection; calls that are under way fail."""
        self._closed_s = time.monotonic()
        if self._sentinels is not None:
            await self._sentinels.close()
        if self._node is not None:
            await self._node.close()
        if self._cluster is not None:
            await self._cluster.close()

    async def _watched(
        self,
        name: str,
        command: tuple[Argument, ...],
        key: Argument,
        since: float,
        script: Script | None = None,
    ) -> Reply:
        """The reply of a command, which is no `Refusal`; whoever watches hears of it."""
        began_s, deadline = time.monotonic(), since + self._timeout_s
        sent, reply = None, _NONE
        try:
            try:
                # Hardly anything is ever in the way: then this is all.
                node = self._node or self._known_server_of(key)
                if node is not None and not node.is_lost:
                    channel = node.channel
                    if channel is not None and channel.is_open:
                        sent = node, channel, channel.ask(command, deadline)
                        reply = await sent[2]
            except (ConnectionResetError, StoreUnavailable):
                pass
            if reply is _NONE or isinstance(reply, Refusal):
                reply = await self._ask(command, key, deadline, script, sent)
                if isinstance(reply, Refusal):
                    raise StoreUnavailable(f"{name}: {reply}")
        except StoreUnavailable as error:
            self._watch.failed(name, began_s, str(error), is_late=self.is_over(since))
            raise
        self._watch.asked(name, began_s)
        return reply

    async def _ask(
        self,
        command: tuple[Argument, ...],
        key: Argument,
        deadline: float,
        script: Script | None,
        sent: _Sent | None = None,
    ) -> Reply:
        """The reply of a command, which may be a `Refusal`, whatever is in the way.

        Args:
            sent: whom it was sent to already, and what has come of it.
        """
        node, asking, tries = self._node, False, 0
        healed = 0
        while True:
            tries += 1
            try:
                if sent is not None:
                    (node, channel, answer), sent = sent, None
                else:
                    if node is None:
                        node = await self._server_of(key, deadline)
                    known = node.channel
                    if known is None or not known.is_open:
                        known = await node.connected(deadline)
                        if asking:
                            # What was told before may not hold any more.
                            node, asking = None, False
                            continue
                    channel = known
                    answer = channel.ask(command, deadline, asking=asking)
                reply = await answer
            except (ConnectionResetError, Unreachable) as error:
                await self._after_loss(node, error, tries, deadline)
                node, asking = self._node, False
                continue
            except StoreUnavailable as error:
                self._note_loss(node, error)
                if node is not None and isinstance(error, NotReplicated):
                    # Its replicas may follow another by now.
                    node.leave()
                raise
            if not isinstance(reply, Refusal):
                if node.is_lost:
                    node.note_return()
                return reply
            word, _, told = str(reply).partition(" ")
            if word == "NOSCRIPT" and script is not None and healed < _HEALED:
                # What is sent now is done before what is sent next.
                channel.send(("SCRIPT", "LOAD", script.text))
                healed += 1
            elif self._cluster is not None and (
                word == "MOVED" or (word == "ASK" and script is None)
            ):
                asking = word == "ASK"
                pass_on = self._cluster.asked if asking else self._cluster.moved
                node = pass_on(told, node)
                if tries > _AT_ONCE:
                    await self._pause(node, reply, deadline)
                    node, asking = None, False
            elif self._is_patient and (word in _PASSING or told.startswith(_APART)):
                if word in _NO_MASTER:
                    node.leave()
                await self._pause(node, reply, deadline)
                node, asking = self._node, False
            else:
                if word == "READONLY":
                    # This server was demoted; its name may lead to another by now.
                    channel.close()
                return reply

    def _known_server_of(self, key: Argument) -> Node | None:
        assert self._cluster is not None  # all else has one server
        return self._cluster.node_of(key)

    async def _server_of(self, key: Argument, deadline: float) -> Node:
        assert self._cluster is not None
        return self._cluster.node_of(key) or await self._cluster.find(key, deadline)

    async def _of_master(self, node: Node, command: tuple[Argument, ...], deadline: float) -> Reply:
        for attempt in (1, 2):
            try:
                channel = await node.connected(deadline)
                reply = await channel.ask(command, deadline)
                break
            except ConnectionResetError as error:
                if attempt == 2:
                    self._note_loss(node, error)
                    raise StoreUnavailable(str(error)) from error
            except StoreUnavailable as error:
                self._note_loss(node, error)
                raise
        node.note_return()
        return reply if not isinstance(reply, Refusal) else _refused(reply, command[0])

    async def _after_loss(
        self, node: Node | None, error: Exception, tries: int, deadline: float
    ) -> None:
        """Return if the command may be sent again.

        Raises:
            StoreUnavailable: it may not.
        """
        if self._closed_s >= deadline - self._timeout_s:
            raise StoreUnavailable("the connection to Redis was closed") from error
        was_open = isinstance(error, ConnectionResetError)
        if was_open and tries == 1:
            return
        if self._is_patient:
            await self._pause(node, error, deadline)
            return
        self._note_loss(node, error)
        if was_open:
            raise StoreUnavailable(str(error)) from error
        raise error

    async def _pause(self, node: Node | None, cause: object, deadline: float) -> None:
        """Let others put things right, for a moment.

        Raises:
            StoreUnavailable: there is no time for it.
        """
        if self._cluster is not None:
            self._cluster.doubt()
        if time.monotonic() + _PAUSE_S >= deadline:
            self._note_loss(node, cause)
            raise StoreUnavailable(str(cause))
        await asyncio.sleep(_PAUSE_S)

    def _note_loss(self, node: Node | None, cause: object) -> None:
        if self._cluster is not None:
            self._cluster.doubt()
        lost = node or self._cluster
        assert lost is not None  # there is one server, or a Cluster
        lost.note_loss(cause)


def _refused(reply: Refusal, name: Argument) -> NoReturn:
    raise StoreUnavailable(f"{name!s}: {reply}")


def _evicts(told: Reply) -> bool:
    said = str(told).split()
    return "maxmemory:0" not in said and any(
        line.startswith("maxmemory_policy:") and line != "maxmemory_policy:noeviction"
        for line in said
    )
