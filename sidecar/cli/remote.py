"""What does a running sidecar answer to a command?"""

import json
import socket
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from sidecar.errors import ConfigurationError
from sidecar.settings import read_settings

DEFAULT_URL = "http://127.0.0.1:8377"
_TIMEOUT_S = 10.0
_MOST_BYTES = 64 << 20


def key_or_set(key: str | None) -> str | None:
    """The key that was given, else one that the settings name and that may read."""
    settings = read_settings()
    keys = [*settings.sidecar_read_keys, *settings.internal_api_keys]
    return key or (keys[0].get_secret_value() if keys else None)


def fetch(url: str, path: str, key: str | None) -> dict[str, object]:
    """What a server answers to `GET`.

    Args:
        url: where `sidecar serve` says that it listens: http, https, or `unix:` and a path.

    Raises:
        ConfigurationError: nobody answers there, or with a refusal; the message says which.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        connection, prefix = _connect(url)
        try:
            connection.request("GET", prefix + path, headers=headers)
            response = connection.getresponse()
            content = response.read(_MOST_BYTES)
        finally:
            connection.close()
    except (OSError, HTTPException) as error:
        message = f"{url}: cannot be asked ({error}); is `sidecar serve` running there?"
        raise ConfigurationError(message) from error
    return _read(url, response.status, content)


def _connect(url: str) -> tuple[HTTPConnection, str]:
    """A connection, and what comes before every path."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        connection = HTTPConnection("localhost", timeout=_TIMEOUT_S)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(_TIMEOUT_S)
        connection.sock.connect(parts.path)
        return connection, ""
    kinds = {"http": HTTPConnection, "https": HTTPSConnection}
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"{url}: {error}") from error
    if parts.scheme not in kinds or not host:
        raise ConfigurationError(f"{url}: write http://HOST:PORT, https://HOST or unix:PATH")
    return kinds[parts.scheme](host, port, timeout=_TIMEOUT_S), parts.path.rstrip("/")


def _read(url: str, status: int, content: bytes) -> dict[str, object]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise ConfigurationError(f"{url}: this is no sidecar; it answers {status} without JSON")
    if status >= 300:
        detail = answer.get("detail") or f"it answers {status}"
        hint = " Give one with --key." if status == 401 else ""
        raise ConfigurationError(f"{url}: {detail}{hint}")
    return answer
