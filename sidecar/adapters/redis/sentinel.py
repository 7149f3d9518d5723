"""Which server is the master now?

All sentinels are asked at once, by GET-MASTER-ADDR-BY-NAME: it names the new master as soon as
it was promoted, while SENTINEL MASTERS, which redis-py's own Sentinel reads, goes on naming the
old one until every other replica was told. What most of them say is believed first, and only
when the server says of itself that it is a master.

An old master that lives may take writes for ten seconds more before the sentinels demote it, and
then forgets them. So they are listened to: when one says that the master has changed, the
connection to the old one is dropped.
https://redis.io/docs/latest/develop/reference/sentinel-clients/
"""

import asyncio
from collections import Counter
from functools import partial
from typing import Final

from sidecar.adapters.address import Host, RedisAddress
from sidecar.adapters.redis.channel import Channel
from sidecar.adapters.redis.dial import STRANGE, Dialer, Unreachable
from sidecar.beside import kept_up

_AGAIN_S: Final = 1.0
_HURRY_S: Final = 0.2
"""How long the others may take when one has answered."""


class Sentinels:
    """Whoever watches the master, and says who it is."""

    def __init__(self, dialer: Dialer, address: RedisAddress) -> None:
        self._dialer = dialer
        self._hosts = address.hosts
        self._service = address.service
        self._channel: Channel | None = None
        self._listening: list[asyncio.Task[None]] = []

    async def master(self) -> Channel:
        """A channel to the master.

        Raises:
            Unreachable: nobody knows one, or it does not answer.
        """
        if not self._listening:
            self._listening = [
                asyncio.create_task(kept_up(partial(self._listen, host), "sentinel"))
                for host in self._hosts
            ]
        named, faults = await self._ask_all()
        for host, _ in named.most_common():
            try:
                self._channel = await self._dialer.channel(host, master=True)
            except Unreachable as error:
                faults.append(str(error))
            else:
                return self._channel
        raise Unreachable("; ".join(dict.fromkeys(faults)))

    async def named(self) -> Host:
        """Where most of them say that the master is.

        Raises:
            Unreachable: nobody knows one.
        """
        named, faults = await self._ask_all()
        for host, _ in named.most_common(1):
            return host
        raise Unreachable("; ".join(dict.fromkeys(faults)))

    async def close(self) -> None:
        """Listen no more."""
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, return_exceptions=True)
        self._listening = []

    async def _ask_all(self) -> tuple[Counter[Host], list[str]]:
        """How many name whom, and why others do not."""
        named, faults = Counter[Host](), list[str]()
        asked = [asyncio.create_task(self._ask(host)) for host in self._hosts]
        timeout: float | None = None
        try:
            for answer in asyncio.as_completed(asked):
                try:
                    named[await asyncio.wait_for(answer, timeout)] += 1
                    timeout = _HURRY_S
                except TimeoutError:
                    break
                except Unreachable as error:
                    faults.append(str(error))
                if max(named.values(), default=0) > len(asked) / 2:
                    break
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        return named, faults

    async def _ask(self, sentinel: Host) -> Host:
        question = "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service
        told = await self._dialer.ask(sentinel, *question, sentinel=True)
        if told is None:
            raise Unreachable(f"a sentinel knows no {self._service}")
        try:
            host, port = told
            return str(host), int(port)
        except (TypeError, ValueError):
            raise Unreachable(STRANGE) from None

    async def _listen(self, sentinel: Host) -> None:
        """Drop the connection whenever this sentinel says that the master has changed."""
        while True:
            try:
                hearing = self._dialer.hearing(sentinel, "+switch-master", sentinel=True)
                async with hearing as messages:
                    async for message in messages:
                        if message.split(" ")[0] == self._service and self._channel is not None:
                            self._channel.close()
            except Unreachable:
                # The others are listened to meanwhile.
                pass
            await asyncio.sleep(_AGAIN_S)
