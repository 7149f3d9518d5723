"""Which node of a Cluster serves a key?

The map comes from CLUSTER SLOTS and is had again whenever something does not fit it: a node says
MOVED or CLUSTERDOWN, cannot be reached or does not answer.
https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
"""

import asyncio
import random
import time
from binascii import crc_hqx
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from sidecar.adapters.address import Host, name_of
from sidecar.adapters.redis.channel import Argument, StoreUnavailable
from sidecar.adapters.redis.dial import STRANGE, Dialer, Unreachable
from sidecar.adapters.redis.node import Node, Watched

SLOTS: Final = 16_384

_SPACING_S: Final = 0.1
"""From the beginning of one attempt, to connect or to have the map, to that of the next."""
_ASKED_AT_ONCE: Final = 3
_FRESH_S: Final = 1.0
_TRIES: Final = 1_000


def slot_of(key: Argument) -> int:
    """The slot of a key: of what stands in its first braces, if anything does."""
    text = key if isinstance(key, bytes) else str(key).encode()
    begin = text.find(b"{")
    if begin >= 0:
        end = text.find(b"}", begin)
        if end > begin + 1:
            text = text[begin + 1 : end]
    return crc_hqx(text, 0) % SLOTS


class Cluster(Watched):
    """The nodes, and which slots they share how.

    Args:
        seeds: nodes to ask first; the others are found by them.
    """

    def __init__(self, name: str, seeds: Sequence[Host], dialer: Dialer) -> None:
        super().__init__(name)
        self._seeds = tuple(seeds)
        self._dialer = dialer
        self._nodes: dict[Host, Node] = {}
        self._slots: list[Node | None] = [None] * SLOTS
        self._refreshing: asyncio.Task[None] | None = None
        self._asked_s = self._told_s = float("-inf")
        self._fault = "no node of the Cluster told in time who serves what"

    def node_of(self, key: Argument) -> Node | None:
        """Who serves a key, as far as is known."""
        return self._slots[slot_of(key)]

    async def find(self, key: Argument, deadline: float) -> Node:
        """Who serves a key, asked for if it is not known.

        Raises:
            Unreachable: nobody, or nobody tells.
            StoreUnavailable: not in time.
        """
        if (node := self.node_of(key)) is None:
            await self.refresh(deadline)
            node = self.node_of(key)
        if node is None:
            raise Unreachable(f"no node of the Cluster serves slot {slot_of(key)}")
        return node

    async def masters(self, deadline: float) -> list[Node]:
        """Whoever serves slots.

        Raises:
            Unreachable: nobody tells.
            StoreUnavailable: not in time.
        """
        if not any(self._slots):
            await self.refresh(deadline)
        return list(dict.fromkeys(node for node in self._slots if node is not None))

    def a_key_of_each(self, prefix: str) -> list[str]:
        """For each master a key that it serves; one with hardly a slot may be left out."""
        keys: dict[Node, str] = {}
        for number in range(_TRIES):
            key = f"{prefix}{{{number}}}"
            if (node := self.node_of(key)) is not None:
                keys.setdefault(node, key)
        return list(keys.values())

    async def unserved(self, deadline: float) -> int:
        """How many slots nobody serves; it is not long ago that this was asked.

        Raises:
            Unreachable: nobody tells.
            StoreUnavailable: not in time.
        """
        if time.monotonic() - self._told_s > _FRESH_S:
            await self.refresh(deadline)
        return self._slots.count(None)

    def any_host(self) -> Host:
        """Where some node is, as far as is known."""
        hosts = list(self._nodes or self._seeds)
        random.shuffle(hosts)
        return hosts[0]

    def moved(self, told: str, teller: Node) -> Node:
        """Who serves a slot according to what follows MOVED."""
        slot, _, where = told.partition(" ")
        node = self._named(where, teller)
        self._slots[int(slot)] = node
        self.doubt()
        return node

    def asked(self, told: str, teller: Node) -> Node:
        """Who takes a slot over according to what follows ASK."""
        return self._named(told.partition(" ")[2], teller)

    def doubt(self) -> asyncio.Task[None]:
        """Have the map again, soon and once for all who doubt it."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh())
            # Whoever waits is told of a failure; if nobody does, nobody need complain.
            self._refreshing.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._refreshing

    async def refresh(self, deadline: float) -> None:
        """Have the map again, and wait for it.

        Raises:
            Unreachable: nobody tells.
            StoreUnavailable: not in time.
        """
        remaining = deadline - time.monotonic()
        try:
            await asyncio.wait_for(asyncio.shield(self.doubt()), max(remaining, 0.001))
        except TimeoutError:
            raise StoreUnavailable(self._fault) from None

    async def close(self) -> None:
        """Close every connection."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait([self._refreshing])
        for node in self._nodes.values():
            await node.close()

    async def _refresh(self) -> None:
        await asyncio.sleep(self._asked_s + _SPACING_S - time.monotonic())
        self._asked_s = time.monotonic()
        known, seeds = list(self._nodes), [seed for seed in self._seeds if seed not in self._nodes]
        random.shuffle(known)
        random.shuffle(seeds)
        hosts, faults = known + seeds, dict[str, None]()
        for begin in range(0, len(hosts), _ASKED_AT_ONCE):
            asked = [
                asyncio.create_task(self._map_of(host))
                for host in hosts[begin : begin + _ASKED_AT_ONCE]
            ]
            try:
                for answer in asyncio.as_completed(asked):
                    try:
                        self._take(await answer)
                        return
                    except Unreachable as error:
                        faults[str(error)] = None
            finally:
                for task in asked:
                    task.cancel()
                await asyncio.gather(*asked, return_exceptions=True)
        self._fault = "; ".join(faults)
        raise Unreachable(self._fault)

    async def _map_of(self, asked: Host) -> list[tuple[int, int, Host]]:
        """Ranges of slots with their masters, as one node knows them."""
        rows: Any = await self._dialer.ask(asked, "CLUSTER", "SLOTS")
        if not rows:
            raise Unreachable(f"{name_of(asked)} knows of no slots")
        try:
            return [
                (int(first), int(last), (_reached(master[0], asked[0]), int(master[1])))
                for first, last, master, *_ in rows
            ]
        except (LookupError, TypeError, ValueError):
            raise Unreachable(STRANGE) from None

    def _take(self, ranges: list[tuple[int, int, Host]]) -> None:
        slots: list[Node | None] = [None] * SLOTS
        for first, last, host in ranges:
            slots[first : last + 1] = [self._node(host)] * (last + 1 - first)
        self._slots = slots
        serving = {host for _, _, host in ranges}
        for host in self._nodes.keys() - serving:
            # Who still waits for it sends again, to whoever has its slots now.
            self._nodes.pop(host).give_up()
        self._told_s = time.monotonic()
        self.note_return()

    def _named(self, where: str, teller: Node) -> Node:
        name, _, port = where.rpartition(":")
        return self._node((_reached(name, teller.name.rpartition(":")[0].strip("[]")), int(port)))

    def _node(self, host: Host) -> Node:
        if host not in self._nodes:
            dial = partial(self._dialer.channel, host)
            self._nodes[host] = Node(name_of(host), dial, spacing_s=_SPACING_S)
        return self._nodes[host]


def _reached(told: str | None, teller: str) -> str:
    """Where a node is reached; one that does not know it of itself is where it was asked."""
    return teller if told in (None, "", "?") else told
