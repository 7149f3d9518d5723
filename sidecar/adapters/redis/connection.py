"""How does a command reach Redis, together with all others that leave at the same time?

redis-py makes the connection (TLS, authentication, database), then the socket is handed to a
protocol that pipelines implicitly: commands of one turn of the event loop are written
together, replies are matched in order by hiredis. A caller that gives up only abandons its
future; its reply is still consumed in its place, so replies never cross.
"""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Sequence
from importlib.resources import files
from typing import Final, cast

import hiredis
import structlog
from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from sidecar.errors import ConfigurationError, Unavailable

_log = structlog.get_logger("sidecar.redis")

Reply = object
Argument = str | bytes | int

OPTIONS: Final = frozenset(
    {"client_name", "db", "password", "socket_connect_timeout", "socket_keepalive", "username"}
)
"""What may stand behind the ? of an address."""
TLS_OPTIONS: Final = frozenset(
    {
        "ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname",
        "ssl_ciphers", "ssl_keyfile", "ssl_password",
    }
)  # fmt: skip
"""What may stand there beside, of a `rediss://` address."""

_FLUSH_AT: Final = 8
_MAX_WAITING: Final = 20_000
_STUCK_S: Final = 1.0
_GRACE_S: Final = 0.002
_CONNECT_S: Final = 1.0


class StoreUnavailable(Unavailable):
    """Redis did not answer in time, refused, or answered with an error."""


class Script:
    """A Lua script with what stands in front of it, known to the server by its digest."""

    def __init__(self, *names: str) -> None:
        folder = files("sidecar.adapters.redis")
        self.name = names[-1]
        self.text = "\n".join(folder.joinpath(name).read_text("utf-8") for name in names)
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class _Channel(asyncio.Protocol):
    """One connected socket: commands out, replies in, in the same order."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._transport = writer.transport
        # The streams close the socket when they go away.
        self._writer = writer
        self._reader = hiredis.Reader(encoding="utf-8", errors="replace")
        self._waiting: deque[tuple[float, asyncio.Future[Reply]]] = deque()
        self._outgoing: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self.is_open = True

    def send(self, command: tuple[Argument, ...]) -> asyncio.Future[Reply]:
        """Write a command with the next batch; the future of its reply."""
        if len(self._waiting) >= _MAX_WAITING:
            raise StoreUnavailable("too many commands wait for Redis")
        # Before anybody waits: what cannot be packed must not stand in the way of others' replies.
        packed = hiredis.pack_command(command)  # type: ignore[arg-type] # its stub: 1-tuple
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._waiting.append((self._loop.time(), future))
        self._outgoing.append(packed)
        if len(self._outgoing) == 1:
            self._loop.call_soon(self._flush)
        elif len(self._outgoing) >= _FLUSH_AT:
            # Let Redis work on the first while the others are still being prepared.
            self._flush()
        return future

    def close_if_stuck(self) -> None:
        """Drop a connection on which nothing has come back for too long."""
        if self._waiting and self._loop.time() - self._waiting[0][0] > _STUCK_S:
            self.close()

    def close(self) -> None:
        """Drop the connection; whoever waits is told."""
        self.is_open = False
        self._transport.abort()

    def _flush(self) -> None:
        if self._outgoing and self.is_open:
            self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()

    def data_received(self, data: bytes) -> None:
        """Give each reply to the caller whose turn it is."""
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                _, future = self._waiting.popleft()
                if not future.done():
                    future.set_result(reply)
        except (hiredis.ProtocolError, IndexError):
            # What follows on this connection belongs to nobody.
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell everybody who waits that no reply will come."""
        self.is_open = False
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(ConnectionResetError("the connection to Redis was lost"))
                # An abandoned future must not complain that nobody looked.
                future.exception()


class RedisConnection:
    """A server that can be asked, over one connection that is made again when it breaks.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        timeout_s: how long one request may wait for the store in all.
        scripts: loaded on every new connection before anything else.

    Raises:
        ConfigurationError: the address has options that cannot be.
    """

    def __init__(self, url: str, *, timeout_s: float, scripts: Sequence[Script]) -> None:
        try:
            self._pool = ConnectionPool.from_url(
                url,
                protocol=2,
                decode_responses=True,
                retry=Retry(NoBackoff(), 0),
                socket_timeout=None,
            )
            # redis-py looks at most options only when it makes a connection.
            self._pool.make_connection()  # type: ignore[no-untyped-call] # redis-py's own gap
        except (RedisError, ValueError, TypeError):
            # Its message may quote the address, and the address a password.
            raise ConfigurationError(
                "SIDECAR_STORE: an option behind the ? has a value that it cannot have"
            ) from None
        self._connect_timeout_s = max(_CONNECT_S, timeout_s)
        self._timeout_s = timeout_s
        self._scripts = tuple(scripts)
        self._channel: _Channel | None = None
        self._connecting: asyncio.Task[_Channel] | None = None
        self._is_lost = False

    async def evicts(self, *, since: float) -> bool:
        """Whether the server may throw keys away to make room, as far as it says.

        Raises:
            StoreUnavailable: it does not say.
        """
        said = str(await self.command("INFO", "memory", since=since)).split()
        return "maxmemory:0" not in said and any(
            line.startswith("maxmemory_policy:") and line != "maxmemory_policy:noeviction"
            for line in said
        )

    def is_over(self, since: float) -> bool:
        """Whether a request that waits since then has waited as long as it may."""
        return time.monotonic() >= since + self._timeout_s

    async def run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument], *, since: float
    ) -> Reply:
        """The reply of a script; all its keys lie in one slot.

        It is sent again once if the connection broke before the reply: every script knows
        what it has done already.

        Raises:
            StoreUnavailable: no reply in time, or an error instead of one.
        """
        command = ("EVALSHA", script.digest, len(keys), *keys, *arguments)
        reply = await self.ask(command, since=since)
        if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT"):
            await self.ask(("SCRIPT", "LOAD", script.text), since=since)
            reply = await self.ask(command, since=since)
        return self._checked(reply, script.name)

    async def command(self, *command: Argument, since: float) -> Reply:
        """The reply of one command; it must be harmless to send twice.

        Raises:
            StoreUnavailable: no reply in time, or an error instead of one.
        """
        return self._checked(await self.ask(command, since=since), str(command[0]))

    async def ask(self, command: tuple[Argument, ...], *, since: float) -> Reply:
        """The raw reply, which may be a `hiredis.ReplyError`."""
        try:
            reply = await self._ask(command, since)
        except StoreUnavailable as error:
            if not self._is_lost:
                # Once for each outage: what follows from it is seen in the answers.
                self._is_lost = True
                _log.warning("redis_lost", cause=str(error))
            raise
        if self._is_lost:
            self._is_lost = False
            _log.info("redis_back")
        return reply

    async def _ask(self, command: tuple[Argument, ...], since: float) -> Reply:
        deadline = since + self._timeout_s
        for attempt in (1, 2):
            try:
                channel = self._channel
                if channel is None or not channel.is_open:
                    channel = await self._connected(deadline)
                return await self._wait(channel.send(command), channel, deadline)
            except ConnectionResetError as error:
                if attempt == 2:
                    raise StoreUnavailable(str(error)) from error
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Close the connection."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._channel is not None:
            self._channel.close()
        await self._pool.disconnect()

    async def _wait(
        self, future: asyncio.Future[Reply], channel: _Channel, deadline: float
    ) -> Reply:
        loop = asyncio.get_running_loop()
        remaining = deadline - time.monotonic()
        timer = loop.call_later(remaining, self._look_again, future)
        try:
            return await future
        except StoreUnavailable:
            channel.close_if_stuck()
            raise
        finally:
            timer.cancel()

    def _look_again(self, future: asyncio.Future[Reply]) -> None:
        """Time is up; but this process may be what is late.

        Replies that lie in the socket are read before anybody is told that there are none.
        """
        if not future.done():
            asyncio.get_running_loop().call_later(_GRACE_S, self._give_up, future)

    def _give_up(self, future: asyncio.Future[Reply]) -> None:
        if not future.done():
            late = f"Redis did not answer within {self._timeout_s * 1000:.0f} ms"
            future.set_exception(StoreUnavailable(late))

    async def _connected(self, deadline: float) -> _Channel:
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.create_task(self._connect())
            # Whoever still waits is told of a failure; if nobody does, nobody need complain.
            self._connecting.add_done_callback(lambda task: task.cancelled() or task.exception())
        remaining = deadline - time.monotonic()
        try:
            # One connects for all; whoever gives up does not take the others' chance.
            return await asyncio.wait_for(asyncio.shield(self._connecting), max(remaining, 0.001))
        except TimeoutError:
            raise StoreUnavailable("Redis could not be reached in time") from None
        except (RedisError, OSError) as error:
            raise StoreUnavailable(f"Redis cannot be reached: {error}") from error

    async def _connect(self) -> _Channel:
        connection = cast("AbstractConnection", self._pool.make_connection())  # type: ignore[no-untyped-call] # redis-py's own gap
        try:
            # redis-py bounds the connecting alone, not the answers to its first commands.
            async with asyncio.timeout(self._connect_timeout_s):
                await connection.connect()  # type: ignore[no-untyped-call] # redis-py's own gap
                for script in self._scripts:
                    await connection.send_command("SCRIPT", "LOAD", script.text)
                    await connection.read_response()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        # From here on the socket is ours: redis-py has no public way to hand it over.
        writer, connection._reader, connection._writer = connection._writer, None, None  # noqa: SLF001
        if writer is None:
            raise StoreUnavailable("the connection to Redis was lost at once")
        channel = _Channel(writer)
        writer.transport.set_protocol(channel)
        self._channel = channel
        return channel

    def _checked(self, reply: Reply, name: str) -> Reply:
        if not isinstance(reply, hiredis.ReplyError):
            return reply
        if self._channel is not None and str(reply).startswith("READONLY"):
            # This server was demoted; its name may lead to another by now.
            self._channel.close()
        raise StoreUnavailable(f"{name}: {reply}")
