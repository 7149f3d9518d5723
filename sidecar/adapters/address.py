"""What does the address of a store say?

    sqlite:///PATH                                       a file; without a path, memory
    redis://[USER:PASSWORD@]HOST[:PORT][/DB]             one server; rediss:// with TLS
    unix:///PATH                                         one server on this machine
    redis+sentinel://[…@]HOST[:PORT],…/SERVICE[/DB]      the master that sentinels name
    redis+cluster://[…@]HOST[:PORT],…                    nodes of a Cluster, who know the others

No message here tells anything of an address beyond its scheme: where a password is not escaped,
any other part may be the password.
"""

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from sidecar.errors import ConfigurationError

Host = tuple[str, int]

_OPTIONS: Final = frozenset(
    {
        "client_name", "db", "password", "socket_connect_timeout", "socket_keepalive", "username",
        "wait_replicas",
    }
)  # fmt: skip
_TLS_OPTIONS: Final = frozenset(
    {
        "ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname",
        "ssl_ciphers", "ssl_keyfile", "ssl_password",
    }
)  # fmt: skip
_SENTINEL_OPTIONS: Final = frozenset({"sentinel_password", "sentinel_username"})
_OURS: Final = _SENTINEL_OPTIONS | {"wait_replicas"}
"""Options that the driver must not see."""

_SCHEMES: Final = (
    "redis", "rediss", "unix",
    "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster",
)  # fmt: skip
_ESCAPING: Final = "in the password, percent-encode the signs /, @, :, # and ?"
_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[\w.-]+))(?::(?P<port>[0-9]{1,5}))?")
_SERVICE = re.compile(r"/(?P<name>[\w.-]+)(?:/(?P<db>[0-9]{1,9}))?/?", re.ASCII)


class Arrangement(Enum):
    """How the servers behind an address belong together."""

    ONE = auto()
    SENTINEL = auto()
    CLUSTER = auto()


@dataclass(frozen=True, slots=True)
class SqliteAddress:
    """A file, or memory."""

    file: Path | None

    def __str__(self) -> str:
        return f"embedded SQLite, {self.file.resolve() if self.file else 'in memory'}"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """One server, or several that belong together.

    Attributes:
        shown: the address for people, without user and password.
        server: what the driver reads: one server, who logs in, and the driver's own options.
        hosts: the sentinels, or nodes of the Cluster; of one server, nothing.
        service: the name by which the sentinels know the master.
        sentinel_login: user and password for the sentinels, empty where they want none.
        wait_replicas: how many replicas must have a write before it is answered.
    """

    arrangement: Arrangement
    shown: str
    server: str = field(repr=False)
    hosts: tuple[Host, ...] = ()
    service: str = ""
    sentinel_login: tuple[str, str] = field(default=("", ""), repr=False)
    wait_replicas: int = 0

    def __str__(self) -> str:
        return f"Redis, {self.shown}"


def read_address(url: str) -> SqliteAddress | RedisAddress:
    """What an address says.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _fault(f"not an address; {_ESCAPING}") from None
    if parts.scheme == "sqlite":
        return _sqlite(parts)
    if parts.scheme not in _SCHEMES:
        raise _fault(
            f"no store has the scheme {parts.scheme!r}; use sqlite:///PATH, redis://, rediss://, "
            "unix://, redis+sentinel:// or redis+cluster://"
        )
    return _redis(parts)


def read_redis_address(url: str) -> RedisAddress:
    """What an address of Redis says.

    Raises:
        ConfigurationError: it is none.
    """
    address = read_address(url)
    if isinstance(address, SqliteAddress):
        raise _fault("this is no address of Redis")
    return address


def _sqlite(parts: SplitResult) -> SqliteAddress:
    if parts.netloc or parts.query or parts.fragment:
        raise _fault(
            "a path follows three slashes, as in sqlite:///./data/sidecar.db "
            "or, absolute, sqlite:////var/lib/sidecar.db; nothing follows the path"
        )
    path = parts.path.removeprefix("/")
    return SqliteAddress(Path(path) if path else None)


def mistakable(url: str) -> str | None:
    """What to say of the path of a file that may have been meant as another, None if it is clear.

    Three slashes begin a path in the present directory; many a one has `/data` in mind.
    """
    parts = urlsplit(url)
    path = parts.path.removeprefix("/")
    top, slash, _ = path.partition("/")
    if parts.scheme != "sqlite" or not slash or top in ("", ".", ".."):
        return None
    below, absolute = Path(path).resolve(), Path("/", path)
    if below == absolute or not Path("/", top).is_dir():
        return None
    return (
        f"the store is {below}, below the present directory; for {absolute} write "
        f"sqlite:////{path}, and ./{path} to say that it is meant so"
    )


def _redis(parts: SplitResult) -> RedisAddress:
    transport, _, arrangement = parts.scheme.partition("+")
    if not arrangement:
        # It cannot be read where there is none; several hosts are read below.
        _port(parts)
    if "@" in parts.path:
        raise _fault(f"an @ stands behind the host; {_ESCAPING}")
    if parts.fragment:
        raise _fault(f"a # stands in the address; {_ESCAPING}")
    options = _options(parts, transport, arrangement)
    match arrangement:
        case "sentinel":
            return _sentinel(parts, transport, options)
        case "cluster":
            return _cluster(parts, transport, options)
        case _:
            return _one(parts, options)


def _one(parts: SplitResult, options: dict[str, str]) -> RedisAddress:
    if parts.scheme != "unix" and not re.fullmatch(r"/?|/[0-9]{1,9}/?", parts.path):
        raise _fault(
            "the number of a database stands behind the host, as in "
            f"{parts.scheme}://host:6379/0; {_ESCAPING}"
        )
    if parts.scheme == "unix" and (parts.hostname or not parts.path):
        raise _fault("a path follows three slashes, as in unix:///run/redis.sock")
    host = parts.hostname or parts.path
    port = f":{parts.port}" if parts.port else ""
    return RedisAddress(
        Arrangement.ONE,
        f"{parts.scheme}://{host}{port}",
        parts._replace(query=_for_the_driver(options)).geturl(),
        wait_replicas=_count(options),
    )


def _sentinel(parts: SplitResult, transport: str, options: dict[str, str]) -> RedisAddress:
    login, hosts = _hosts(parts, 26379)
    service = _SERVICE.fullmatch(parts.path)
    if service is None:
        raise _fault(
            "behind the sentinels stands the name by which they know the master, as in "
            f"{parts.scheme}://host:26379,host:26379/mymaster or …/mymaster/0; {_ESCAPING}"
        )
    database = f"/{service['db'] or 0}"
    return RedisAddress(
        Arrangement.SENTINEL,
        f"{parts.scheme}://{_names(hosts)}/{service['name']}",
        f"{transport}://{login}sentinel{database}?{_for_the_driver(options)}",
        hosts,
        service["name"],
        (options.get("sentinel_username", ""), options.get("sentinel_password", "")),
        _count(options),
    )


def _cluster(parts: SplitResult, transport: str, options: dict[str, str]) -> RedisAddress:
    login, hosts = _hosts(parts, 6379)
    if parts.path not in ("", "/", "/0") or options.get("db", "0") != "0":
        raise _fault(
            "a Cluster has one database, so nothing stands behind its nodes, as in "
            f"{parts.scheme}://host:6379,host:6379; {_ESCAPING}"
        )
    return RedisAddress(
        Arrangement.CLUSTER,
        f"{parts.scheme}://{_names(hosts)}",
        f"{transport}://{login}cluster?{_for_the_driver(options)}",
        hosts,
        wait_replicas=_count(options),
    )


def _port(parts: SplitResult) -> None:
    try:
        _ = parts.port
    except ValueError:
        raise _fault(f"not an address; {_ESCAPING}") from None


def _options(parts: SplitResult, transport: str, arrangement: str) -> dict[str, str]:
    known = _OPTIONS
    if transport == "rediss":
        known |= _TLS_OPTIONS
    if arrangement == "sentinel":
        known |= _SENTINEL_OPTIONS
    options: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        options.setdefault(name, value)
    if not options.keys() <= known:
        raise _fault(
            f"behind the ? stand other options than {', '.join(sorted(known))}; {_ESCAPING}"
        )
    return options


def _for_the_driver(options: dict[str, str]) -> str:
    return urlencode({name: value for name, value in options.items() if name not in _OURS})


def _count(options: dict[str, str]) -> int:
    said = options.get("wait_replicas", "0")
    if not re.fullmatch("[0-9]", said):
        raise _fault("wait_replicas behind the ? is a number from 0 to 9")
    return int(said)


def _hosts(parts: SplitResult, port: int) -> tuple[str, tuple[Host, ...]]:
    """Who logs in, as it stands before the @ and with it, and the hosts behind."""
    login, at, names = parts.netloc.rpartition("@")
    if "@" in login:
        raise _fault(
            f"one user and password, for all, stand in front of the first host; {_ESCAPING}"
        )
    hosts: list[Host] = []
    for name in names.split(","):
        found = _HOST.fullmatch(name)
        number = int(found["port"] or port) if found else 0
        if found is None or not 0 < number < 65_536:
            raise _fault(
                "hosts with their ports stand behind the two slashes, separated by commas, as in "
                f"{parts.scheme}://host:{port},host:{port}; {_ESCAPING}"
            )
        hosts.append((found["six"] or found["name"], number))
    return login + at, tuple(hosts)


def _names(hosts: tuple[Host, ...]) -> str:
    return ",".join(map(name_of, hosts))


def name_of(host: Host) -> str:
    """How a host and its port are written."""
    return f"[{host[0]}]:{host[1]}" if ":" in host[0] else f"{host[0]}:{host[1]}"


def _fault(told: str) -> ConfigurationError:
    return ConfigurationError(f"SIDECAR_STORE: {told}")
