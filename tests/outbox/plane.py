"""A control plane on a port of its own, that is not there before it is begun."""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from tests.processes import free_port


class Plane:
    """Remembers in which order events came, and takes all but those that it is told not to.

    Attributes:
        statuses: what is answered to events by their ids; to others 202.
        keys: that came along.
    """

    def __init__(self) -> None:
        self.statuses: dict[str, int] = {}
        self.keys: set[str | None] = set()
        self.port: Final = free_port()
        self.url: Final = f"http://127.0.0.1:{self.port}/in"
        self.seen: dict[str, list[str]] = defaultdict(list)
        self.lock: Final = threading.Lock()

    def ids(self) -> set[str]:
        """Every id that came."""
        with self.lock:
            return {name for names in self.seen.values() for name in names}

    def first_seen(self, app: str) -> list[str]:
        """The ids of an app, in the order in which each came first."""
        with self.lock:
            return list(dict.fromkeys(self.seen[app]))

    def came_again(self) -> int:
        """How often an id came that had come before."""
        with self.lock:
            return sum(len(names) - len(set(names)) for names in self.seen.values())

    def take(self, body: bytes) -> int:
        """Remember one event; the answer."""
        event = json.loads(body)
        name: str = event["event_id"]
        with self.lock:
            self.seen[event["app_id"]].append(name)
        return self.statuses.get(name, 202)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Be there."""
        plane = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                plane.keys.add(self.headers["X-Internal-API-Key"])
                status = plane.take(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 # its own
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
