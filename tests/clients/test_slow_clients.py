"""Clients that are slow, or many, or offer another protocol: what is answered, and what closed."""

import json
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.clients.caller import request
from tests.processes import START_S, Sidecar, await_that

PATIENCE_S = 1.0
CHECK = request("/v1/check", {"app_id": "a", "user_id": "u"})


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A server without much patience."""
    env = {"SIDECAR_CLIENT_TIMEOUT_S": str(PATIENCE_S)}
    folder = tmp_path_factory.mktemp("impatient")
    with Sidecar(store="sqlite://", cwd=folder, env=env) as server:
        yield server


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A server for 20 connections."""
    env = {"SIDECAR_CONNECTIONS": "20"}
    with Sidecar(store="sqlite://", cwd=tmp_path_factory.mktemp("small"), env=env) as server:
        yield server


def connect(sidecar: Sidecar) -> socket.socket:
    url = httpx.URL(sidecar.url)
    return socket.create_connection((url.host, url.port or 80), timeout=START_S)


def all_of(client: socket.socket) -> bytes:
    """What comes until the server closes."""
    answer = b""
    try:
        while data := client.recv(65_536):
            answer += data
    except ConnectionResetError:
        pass
    return answer


def one_of(client: socket.socket) -> bytes:
    """One answer."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = client.recv(65_536)
        assert data, "the server closed"
        answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += client.recv(65_536)
    return head + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    "begun",
    [b"P", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", CHECK[:-1], CHECK + CHECK[:-1]],
    ids=["letter", "head", "body", "second"],
)
def test_a_request_that_is_never_whole_is_408(begun: bytes, sidecar: Sidecar) -> None:
    with connect(sidecar) as client:
        client.sendall(begun)
        began = time.monotonic()
        answer = all_of(client)
        took_s = time.monotonic() - began

    last = answer[answer.rindex(b"HTTP/1.1 ") :]
    assert last.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"connection: close" in last.lower()
    assert json.loads(last.partition(b"\r\n\r\n")[2])["status"] == 408
    assert answer.count(b"HTTP/1.1 200 OK") == begun.count(CHECK)
    assert PATIENCE_S * 0.9 < took_s < PATIENCE_S + 2


def test_a_byte_now_and_then_is_not_enough(sidecar: Sidecar) -> None:
    with connect(sidecar) as client:
        client.settimeout(0.05)
        began, answer = time.monotonic(), b""
        while not answer:
            assert time.monotonic() < began + START_S
            client.sendall(b"X")
            try:
                answer = client.recv(100)
            except TimeoutError:
                continue
            except ConnectionResetError:
                break
        took_s = time.monotonic() - began

    assert took_s < PATIENCE_S + 2


def test_a_connection_on_which_nothing_is_asked_is_closed_without_a_word(sidecar: Sidecar) -> None:
    with connect(sidecar) as client:
        assert all_of(client) == b""


def test_a_connection_may_rest_between_requests(sidecar: Sidecar) -> None:
    with connect(sidecar) as client:
        client.sendall(CHECK)
        one_of(client)
        client.settimeout(2.2 * PATIENCE_S)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(START_S)
        client.sendall(CHECK)
        assert one_of(client).startswith(b"HTTP/1.1 200 OK")


def test_a_connection_too_many_takes_the_place_of_one_that_says_nothing(small: Sidecar) -> None:
    silent = [connect(small) for _ in range(20)]
    try:
        answers = []
        for _ in range(5):
            with connect(small) as client:
                client.sendall(CHECK)
                answers.append(one_of(client))
        told, _, _ = select.select(silent, [], [], START_S)
        words = [all_of(each) for each in told]
    finally:
        for each in silent:
            each.close()

    assert all(answer.startswith(b"HTTP/1.1 200 OK") for answer in answers)
    # Nothing was asked on them yet, so this answers no question.
    assert 0 < len(words) < 20
    assert all(each.startswith(b"HTTP/1.1 503 Service Unavailable\r\n") for each in words)
    assert all(b"retry-after: 1" in each for each in words)


def test_where_all_are_being_answered_a_further_one_is_told_to_come_again(
    small: Sidecar,
) -> None:
    busy = [connect(small) for _ in range(20)]
    head, body = CHECK[:-10], CHECK[-10:]
    try:
        for each in busy:
            each.sendall(head)
        with connect(small) as client:
            refused = all_of(client)
        for each in busy:
            each.sendall(body)
        answers = [one_of(each) for each in busy]
    finally:
        for each in busy:
            each.close()

    assert refused.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert all(answer.startswith(b"HTTP/1.1 200 OK") for answer in answers)


def test_a_client_that_could_speak_http_2_is_answered_in_http_1(sidecar: Sidecar) -> None:
    head, _, body = CHECK.partition(b"\r\n\r\n")
    offer = b"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n\r\n"
    with connect(sidecar) as client:
        for parts in ([head + offer + body], [head, offer, body[:5], body[5:]]):
            for part in parts:
                client.sendall(part)
            answer = one_of(client)
            assert answer.startswith(b"HTTP/1.1 200 OK")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["effect"] == "allow"
        # Both in one go, and one without a body.
        ask = b"GET /healthz HTTP/1.1\r\nHost: localhost" + offer
        client.sendall(head + offer + body + ask)
        answer = one_of(client)
        while answer.count(b"HTTP/1.1 200 OK") < 2:
            answer += client.recv(65_536)


@pytest.mark.parametrize(
    "garbage",
    [b"nonsense\r\n\r\n", b"CONNECT a:80 HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x00\xa5\x01"],
    ids=["words", "connect", "tls"],
)
def test_what_is_no_request_is_a_problem_too(garbage: bytes, sidecar: Sidecar) -> None:
    with connect(sidecar) as client:
        client.sendall(garbage)
        answer = all_of(client)

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"application/problem+json" in answer


def test_garbage_behind_a_request_takes_nothing_from_its_answer(sidecar: Sidecar) -> None:
    with connect(sidecar) as client:
        client.sendall(CHECK + b"nonsense\r\n\r\n")
        answer = one_of(client)

    assert answer.startswith(b"HTTP/1.1 200 OK")


def test_who_goes_away_from_several_requests_at_once_leaves_no_traceback(sidecar: Sidecar) -> None:
    gone = struct.pack("ii", 1, 0)
    for _ in range(50):
        with connect(sidecar) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, gone)
            client.sendall(CHECK * 3 + CHECK[:40])

    await_that(lambda: httpx.get(f"{sidecar.url}/healthz").status_code == 200, "it serves on")
    assert "Traceback" not in sidecar.errors()


def test_nothing_is_left_of_connections_that_are_gone(sidecar: Sidecar) -> None:
    def files() -> int:
        return len(list(Path(f"/proc/{sidecar.process.pid}/fd").iterdir()))

    before = files()
    for _ in range(3):
        clients = [connect(sidecar) for _ in range(18)]
        for each in clients:
            each.sendall(CHECK[:20])
            each.close()
    await_that(lambda: files() <= before, "all are closed")


def test_who_takes_no_answers_is_cut_off(sidecar: Sidecar) -> None:
    page = request("/openapi.json")
    with connect(sidecar) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.settimeout(0.5)
        began = time.monotonic()
        is_open = True
        while is_open:
            assert time.monotonic() - began < START_S
            with suppress(TimeoutError):
                try:
                    client.sendall(page * 10)
                except ConnectionError:
                    is_open = False
    assert httpx.get(f"{sidecar.url}/healthz").status_code == 200
