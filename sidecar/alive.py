"""Does a server answer? For probes that have nothing but this image: the standard library alone.

python -m sidecar.alive http://127.0.0.1:8377/readyz
python -m sidecar.alive unix:///run/sidecar/sidecar.sock:/readyz
"""

import socket
import sys
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

TIMEOUT_S = 2.0


class _OverFile(HTTPConnection):
    """A connection to a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("sidecar", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Open it."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def main(arguments: Sequence[str]) -> int:
    """0 if the answer is a good one, else 1 and why."""
    match arguments:
        case [url]:
            return _ask(url)
        case _:
            return _complain(str(__doc__), 64)


def _ask(url: str) -> int:
    if url.startswith("unix://"):
        file, _, path = url.removeprefix("unix://").partition(":")
        connection: HTTPConnection = _OverFile(file)
    else:
        parts = urlsplit(url)
        connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=TIMEOUT_S)
        path = parts.path
    try:
        connection.request("GET", path or "/healthz")
        answer = connection.getresponse()
    except (OSError, HTTPException) as error:
        return _complain(f"{url}: {error}")
    if answer.status == 200:
        return 0
    return _complain(f"{url}: {answer.status} {answer.read(1_000).decode(errors='replace')}")


def _complain(why: str, code: int = 1) -> int:
    sys.stderr.write(f"{why}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
