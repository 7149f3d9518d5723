"""What no generator of well-formed requests writes: bytes that are no text, numbers without end."""

import re
from collections.abc import Iterator
from typing import Final

import pytest

from sidecar.api.openapi import operations
from sidecar.api.openapi.operation import Operation
from tests.described import operation_of
from tests.processes import Sidecar

ODD_TEXTS: Final = (
    "%00", "%FF", "%ED%A0%80", "%C0%80", "%F4%90%80%80", "%", "%zz", "%2e%2e", "%0d%0aX:%201",
    "%E2%80%AE", "a%2Fb", "+", "&", "=", ";", "%5B%5D", "res_%00", "res_YQ.%FF", "res_..",
    "dec_%00",
)  # fmt: skip
ODD_BODIES: Final = (
    b"\x00", b"\xff\xfe", b'"\xed\xa0\x80"', b'{"app_id": "\\ud800", "user_id": "u"}',
    b'{"app_id": "\\u0000", "user_id": "\\u0000"}', b"1" * 5_000, b"-" + b"9" * 5_000,
    b'{"app_id": "a", "user_id": "u", "estimated_tokens": 1' + b"0" * 4_000 + b"}",
    b'{"app_id": "a", "user_id": "u", "estimated_tokens": 1e400}',
    b'{"app_id": "a", "user_id": "u", "event_ts": 1e308}',
    b'{"app_id": "a", "user_id": "u", "event_ts": -1e-320, "duration_sec": 1e-400}',
    b'{"app_id": "a", "user_id": "u", "attributes": {"a": NaN, "b": Infinity}}',
    b'{"app_id": "a", "app_id": 7, "user_id": "u"}',
    b"[" * 30_000, b'{"a":' * 10_000, b"[" * 9_000 + b"]" * 9_000,
    b'{"userId": "u", "plan": "pro", "status": "active", "updatedAt": "0001-01-01T00:00:00+14:00"}',
    b'{"userId": "u", "plan": "pro", "status": "active", "metadata": {"\\u0000": "\\u0000"}}',
    b'{"grantId": "\\u0000", "userId": "\\u0000", "appId": "a", "meter": "tokens", "amount": 1}',
)  # fmt: skip


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A server without keys."""
    with Sidecar(store="sqlite://", cwd=tmp_path_factory.mktemp("odd")) as sidecar:
        yield sidecar
        assert "Traceback" not in sidecar.errors()


def assert_described(sidecar: Sidecar, method: str, path: str, body: bytes = b"") -> None:
    """The answer has a status that the document has for it, or is told by HTTP alone."""
    answer = sidecar.client.request(method, path, content=body)
    found = operation_of(method, re.sub(r"[?#].*", "", path))
    # A slash in a name, though written %2F, is one of the path.
    known = (
        {404, 405} if found is None else set(found.answers()) | ({404} if "%2F" in path else set())
    )

    assert answer.status_code in known, (method, path, body[:80], answer.text[:300])
    assert answer.status_code < 500


def path_of(operation: Operation, text: str) -> str:
    """Its path with something in the place of what it names."""
    return re.sub(r"{.+?}", text, operation.path)


@pytest.mark.parametrize(
    "operation", list(operations()), ids=lambda each: f"{each.method} {each.path}"
)
def test_odd_texts_in_addresses_are_answered_as_described(
    operation: Operation, sidecar: Sidecar
) -> None:
    queries = ("app_id={0}&user_id={0}", "app_id=a&user_id=u&{0}={0}", "app_id=a&app_id={0}", "{0}")
    for text in ODD_TEXTS:
        assert_described(sidecar, operation.method, path_of(operation, text), b"{}")
        if operation.method == "GET":
            for query in queries:
                path = f"{path_of(operation, 'x')}?{query.format(text)}"
                assert_described(sidecar, "GET", path)


@pytest.mark.parametrize(
    "operation",
    [each for each in operations() if each.method == "POST"],
    ids=lambda each: each.path,
)
def test_odd_bodies_are_answered_as_described(operation: Operation, sidecar: Sidecar) -> None:
    for body in ODD_BODIES:
        assert_described(sidecar, "POST", path_of(operation, "x"), body)


@pytest.mark.parametrize("text", ["%00", "%FF", "%ED%A0%80", "%F0%9F%98%80"])
def test_what_was_written_under_an_odd_name_is_found_under_it(text: str, sidecar: Sidecar) -> None:
    shown = sidecar.client.get(f"/v1/entitlements?app_id={text}&user_id={text}").json()
    body = {"app_id": shown["app_id"], "user_id": shown["user_id"], "estimated_tokens": 5}

    held = sidecar.client.post("/v1/check", json=body | {"reserve": True}).json()
    released = sidecar.client.post(f"/v1/reservations/{held['reservation']['id']}/release")

    assert released.status_code == 200
