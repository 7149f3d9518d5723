"""Which names a server without keys answers to."""

from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.api.nearby import FromElsewhere, Misnamed, Nearby

_PARTS = st.sampled_from([
    "localhost", "127.0.0.1", "127.0.0.2", "[::1]", "evil.example", "usage.internal", ".", ":", "@",
    "80", "8377", "65536", "1", "0", "LOCALHOST", "[", "]", "%", " ", "/", "#", "?", "\\", "::1",
    "localhost.", "127.1", "xn--", "\x00", "\t", "é", "²",
])  # fmt: skip


def is_let_in(nearby: Nearby, **headers: bytes) -> bool:
    try:
        nearby.require({name.encode(): value for name, value in headers.items()})
    except (Misnamed, FromElsewhere):
        return False
    return True


def leads_here(host: str) -> bool:
    """Whether a browser that calls a server so means this machine."""
    try:
        name = urlsplit(f"http://{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


@given(st.lists(_PARTS, min_size=1, max_size=5).map("".join))
def test_no_name_is_answered_to_that_leads_elsewhere(host: str) -> None:
    name = host.encode()

    if is_let_in(Nearby(), host=name):
        assert leads_here(host)
    for origin in (b"http://" + name, b"https://" + name):
        if is_let_in(Nearby(["usage.internal"]), host=b"localhost", origin=origin):
            assert leads_here(host) or urlsplit(f"http://{host}").hostname == "usage.internal"


@given(st.lists(st.sampled_from([b"localhost", b"evil.example", b"127.0.0.1:80"]), max_size=8))
def test_who_asked_before_plays_no_part(hosts: list[bytes]) -> None:
    nearby = Nearby()

    found = [is_let_in(nearby, host=host) for host in hosts]

    assert found == [host != b"evil.example" for host in hosts]


@pytest.mark.parametrize(
    "origin", [b"null", b"", b"file://", b"http://", b"localhost", b"ftp://localhost"]
)
def test_whatever_is_no_address_of_a_page_is_elsewhere(origin: bytes) -> None:
    assert not is_let_in(Nearby(["*"]), host=b"localhost", origin=origin)


def test_a_program_that_tells_no_name_at_all_is_no_browser() -> None:
    assert is_let_in(Nearby())


def test_any_name_is_taken_and_still_no_page_of_another_site() -> None:
    anybody = Nearby(["*"])

    assert is_let_in(anybody, host=b"evil.example")
    assert not is_let_in(anybody, host=b"evil.example", origin=b"http://evil.example")
