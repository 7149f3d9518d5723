"""How is a connection to a server made?

redis-py makes it (TLS, authentication, database); then the socket is handed to a channel.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from sidecar.adapters.address import Host, RedisAddress
from sidecar.adapters.redis.channel import Argument, Channel, ConfirmedChannel, StoreUnavailable
from sidecar.adapters.redis.script import Script
from sidecar.errors import ConfigurationError
from sidecar.sparing import without

# Where OpenTelemetry is installed, redis-py imports it all, for metrics that it never makes here.
with without("opentelemetry"):
    from redis.asyncio.connection import AbstractConnection, Connection, parse_url
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import NoPermissionError, RedisError

_CONNECT_S: Final = 1.0
STRANGE: Final = "whoever answers there does not speak as Redis does"


class Unreachable(StoreUnavailable):
    """A server could not be connected to."""


class Dialer:
    """Makes connections with what an address says of login, TLS and time.

    Args:
        timeout_s: how long one request may wait for the store in all.
        scripts: loaded on every new connection before anything else.

    Raises:
        ConfigurationError: the address has options that cannot be.
    """

    def __init__(
        self, address: RedisAddress, *, timeout_s: float, scripts: Sequence[Script]
    ) -> None:
        self._timeout_s = timeout_s
        self._replicas = address.wait_replicas
        self._scripts = tuple(scripts)
        self.connect_timeout_s = max(_CONNECT_S, timeout_s)
        try:
            given = cast("dict[str, Any]", parse_url(address.server))
            self._class = cast(
                "type[AbstractConnection]", given.pop("connection_class", Connection)
            )
            self._given = given | {
                "protocol": 2,
                "decode_responses": True,
                "retry": Retry(NoBackoff(), 0),
                "socket_timeout": None,
            }
            # redis-py looks at most options only when it makes a connection.
            self._class(**self._given)
        except (RedisError, ValueError, TypeError):
            # Its message may quote the address, and the address a password.
            raise ConfigurationError(
                "SIDECAR_STORE: an option behind the ? has a value that it cannot have"
            ) from None
        name, password = address.sentinel_login
        self._of_sentinels = {key: self._given[key] for key in self._given if key != "db"} | {
            "username": name or None,
            "password": password or None,
        }

    async def channel(self, host: Host | None = None, *, master: bool = False) -> Channel:
        """A channel to a server, or to the one that the address names.

        Args:
            master: it must be one.

        Raises:
            Unreachable: there is none.
        """
        async with self._connected(self._given, host) as (connection, _):
            if master:
                await self._insist_on_a_master(connection)
            await self._load_what_is_missing(connection)
            # From here on the socket is ours: redis-py has no public way to hand it over.
            writer, connection._reader, connection._writer = connection._writer, None, None  # noqa: SLF001
        if writer is None:
            raise Unreachable("the connection to Redis was lost at once")
        if self._replicas:
            return ConfirmedChannel(writer, self._timeout_s, self._replicas)
        return Channel(writer, self._timeout_s)

    async def ask(self, host: Host, *command: Argument, sentinel: bool = False) -> Any:
        """The reply of a server to one command, over a connection of its own.

        Args:
            sentinel: it is one, and has its own users.

        Raises:
            Unreachable: there is no reply, or an error instead of one.
        """
        given = self._of_sentinels if sentinel else self._given
        async with self._connected(given, host) as (connection, _):
            reply = await _reply(connection, *command)
            await connection.disconnect()
        return reply

    @property
    def database(self) -> int:
        """The number of the database that the address names."""
        return int(self._given.get("db") or 0)

    @asynccontextmanager
    async def hearing(
        self, host: Host | None, topic: str, *, sentinel: bool = False
    ) -> AsyncIterator[AsyncIterator[str]]:
        """What is said of a topic from now on, until the server hangs up.

        Args:
            host: a server, or None for the one that the address names.
            sentinel: it is one, and has its own users.

        Raises:
            Unreachable: it does not answer, or not any more.
        """
        given = self._of_sentinels if sentinel else self._given
        async with self._connected(given, host) as (connection, limit):
            await _reply(connection, "SUBSCRIBE", topic)
            limit.reschedule(None)
            yield _messages(connection)

    @asynccontextmanager
    async def _connected(
        self, given: dict[str, Any], host: Host | None
    ) -> AsyncIterator[tuple[AbstractConnection, asyncio.Timeout]]:
        """A connection, and until when all must be done with it."""
        where = {} if host is None else {"host": host[0], "port": host[1]}
        connection = self._class(**given | where)
        try:
            # redis-py bounds the connecting alone, not the answers to its first commands.
            async with asyncio.timeout(self.connect_timeout_s) as limit:
                await connection.connect()  # type: ignore[no-untyped-call] # redis-py's own gap
                yield connection, limit
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if isinstance(error, TimeoutError):
                raise Unreachable("Redis could not be reached in time") from error
            if isinstance(error, (RedisError, OSError)):
                raise Unreachable(f"Redis cannot be reached: {error}") from error
            raise

    async def _load_what_is_missing(self, connection: AbstractConnection) -> None:
        if not self._scripts:
            return
        # Who may not ask is told so; a long script would be refused for its length before that.
        digests = (script.digest for script in self._scripts)
        known = await _reply(connection, "SCRIPT", "EXISTS", *digests)
        if not isinstance(known, list):
            raise Unreachable(STRANGE)
        for script, is_known in zip(self._scripts, known, strict=False):
            if not is_known:
                await _reply(connection, "SCRIPT", "LOAD", script.text)

    async def _insist_on_a_master(self, connection: AbstractConnection) -> None:
        try:
            role = await _reply(connection, "ROLE")
        except NoPermissionError:
            # It is believed; if it takes no writes, it will say so.
            return
        if role[0] != "master":
            raise Unreachable("the sentinels name a server that is no master")


async def _messages(connection: AbstractConnection) -> AsyncIterator[str]:
    while True:
        told = await connection.read_response()
        if not isinstance(told, list) or len(told) != 3:
            raise Unreachable(STRANGE)
        yield str(told[2])


async def _reply(connection: AbstractConnection, *command: Argument) -> Any:
    await connection.send_command(*command)
    return await connection.read_response()
