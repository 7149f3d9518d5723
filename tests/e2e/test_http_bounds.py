"""What a client may send before the server gives up on it."""

import itertools
import json
import socket
from collections.abc import Iterable, Iterator

import httpx
import pytest

from sidecar.api.openapi import operations
from tests.processes import Sidecar

MUCH = 16 * 1024 * 1024
"""More than the kernel keeps between the two processes."""


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A server with an empty store."""
    with Sidecar(store="sqlite://", cwd=tmp_path_factory.mktemp("server")) as server:
        yield server


def send(sidecar: Sidecar, *parts: bytes, then: Iterable[bytes] = ()) -> tuple[int, bytes]:
    """How many bytes were taken, and what came back until the server closed."""
    url = httpx.URL(sidecar.url)
    taken, answer = 0, b""
    with socket.create_connection((url.host, url.port or 80), timeout=20) as client:
        try:
            for part in itertools.chain(parts, then):
                client.sendall(part)
                taken += len(part)
                assert taken < MUCH, "the server takes all there is"
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            while data := client.recv(65_536):
                answer += data
        except ConnectionResetError:
            pass
    return taken, answer


HEAD = b"POST /v1/check HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("first", "endless"),
    [
        (b"GET /", b"a" * 4_096),
        (HEAD + b"X-Long: ", b"a" * 4_096),
        (HEAD, b"X-Many: yes\r\n" * 256),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n", b"X-Trailer: yes\r\n" * 256),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nX-Trailer: ", b"a" * 4_096),
    ],
    ids=["path", "header", "headers", "trailers", "trailer"],
)
def test_a_head_without_end_ends_the_connection(
    first: bytes, endless: bytes, sidecar: Sidecar
) -> None:
    send(sidecar, first, then=itertools.repeat(endless))

    assert sidecar.client.get("/healthz").status_code == 200


def test_a_head_beyond_64_kib_is_431(sidecar: Sidecar) -> None:
    # Not a byte more: what is left unread would reset the connection, and the answer with it.
    _, answer = send(sidecar, (HEAD + b"X-Long: ").ljust(64 * 1024 + 1, b"a"))

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b"content-type: application/problem+json" in head.lower()
    assert json.loads(body)["status"] == 431
    # Whatever is asked can be asked with such a head.
    assert all(431 in operation.answers() for operation in operations())


def test_a_head_of_60_kib_is_read(sidecar: Sidecar) -> None:
    answer = sidecar.client.get("/healthz", headers={"X-Long": "a" * 60 * 1024})
    assert answer.status_code == 200


def test_a_large_body_is_no_head(sidecar: Sidecar) -> None:
    events = [
        {"app_id": "a", "user_id": "u", "event_id": f"{index}-{'x' * 240}"}
        for index in range(1_000)
    ]
    for _ in range(2):
        answer = sidecar.client.post("/v1/usage", json=events)
        assert answer.status_code == 202
    assert answer.json()["duplicates"] == 1_000


def test_many_requests_on_one_connection_are_each_a_head_of_their_own(sidecar: Sidecar) -> None:
    one = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 8_192 + b"\r\n\r\n"
    last = one.replace(b"Host: localhost", b"Host: localhost\r\nConnection: close")
    _, answer = send(sidecar, one * 30 + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 31
