"""What does a running sidecar answer to a command?"""

import json
import socket
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

import click

from sidecar.errors import ConfigurationError
from sidecar.settings import read_settings

_TIMEOUT_S = 10.0
_MOST_BYTES = 64 << 20


class Remote:
    """A running server, asked with one key.

    Args:
        url: where `sidecar serve` says that it listens: http, https, or `unix:` and a path.
        key: to show there; else one that the settings name and that may read.
    """

    def __init__(self, url: str, key: str | None) -> None:
        settings = read_settings()
        keys = [*settings.sidecar_read_keys, *settings.internal_api_keys]
        self.url = url
        self._key = key or (keys[0].get_secret_value() if keys else None)

    def fetch(self, path: str, query: Mapping[str, str | None] | None = None) -> dict[str, Any]:
        """What it answers to `GET`; of the query what is not None.

        Raises:
            ConfigurationError: nobody answers there, or with a refusal; the message says which.
            click.UsageError: it does not understand what is asked for.
        """
        told = {name: value for name, value in (query or {}).items() if value is not None}
        status, content = self._get(f"{path}?{urlencode(told)}" if told else path)
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise self._no_sidecar(status)
        if status in (400, 422):
            raise click.UsageError(str(answer.get("detail") or "the server does not take this"))
        if status >= 300:
            raise ConfigurationError(f"{self.url}: {self._refusal(status, answer)}")
        return answer

    def fetch_text(self, path: str) -> str:
        """What it answers to `GET`, as text.

        Raises:
            ConfigurationError: nobody answers there, or with a refusal.
        """
        status, content = self._get(path)
        if status >= 300:
            raise self._no_sidecar(status)
        return content.decode("utf-8", "replace")

    def _get(self, path: str) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            connection, prefix = _connect(self.url)
            try:
                connection.request("GET", prefix + path, headers=headers)
                response = connection.getresponse()
                return response.status, response.read(_MOST_BYTES)
            finally:
                connection.close()
        except (OSError, HTTPException) as error:
            raise ConfigurationError(
                f"{self.url}: cannot be asked ({error}); is `sidecar serve` running there? "
                "Say with --url where it listens"
            ) from error
        except ValueError as error:
            # Of a key that no header can carry.
            raise ConfigurationError("the key has a character that no key has") from error

    def _no_sidecar(self, status: int) -> ConfigurationError:
        message = f"{self.url}: this is no sidecar; it answers {status} without JSON"
        return ConfigurationError(message)

    def _refusal(self, status: int, answer: Mapping[str, Any]) -> str:
        detail = str(answer.get("detail") or f"it answers {status}")
        match status:
            case 401 if self._key:
                return f"{detail} It does not know this one: give one of its SIDECAR_READ_KEYS"
            case 401:
                return f"{detail} Give one with --key, or set SIDECAR_READ_KEYS as the server has"
            case 403:
                return f"{detail} Give one of its SIDECAR_READ_KEYS with --key"
        return detail


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
