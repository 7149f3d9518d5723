"""Where somebody comes from, behind proxies or not."""

import pytest

from sidecar.api.dashboard.whence import Whence

BEHIND = Whence(["10.0.0.0/8", "2001:db8:1::/48", "unix"])


@pytest.mark.parametrize(
    ("client", "forwarded", "found"),
    [
        ("198.51.100.1", "", "198.51.100.1"),
        ("198.51.100.1", "203.0.113.9", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.2 ", "203.0.113.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, <script>", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("2001:db8:1::5", "[2001:db8:2:3::7]:443", "2001:db8:2:3::/64"),
        ("2001:db8:2:3::7", "", "2001:db8:2:3::/64"),
        ("2001:db8:2:3:ffff::1", "", "2001:db8:2:3::/64"),
        ("", "203.0.113.9", "203.0.113.9"),
        ("", "", ""),
    ],
)
def test_the_last_one_whom_no_believed_proxy_stands_for_is_it(
    client: str, forwarded: str, found: str
) -> None:
    assert BEHIND.of(client, forwarded) == found


def test_where_no_proxy_is_named_nobody_is_believed() -> None:
    alone = Whence()

    assert alone.of("10.0.0.1", "203.0.113.9") == "10.0.0.1"
    assert alone.of("", "203.0.113.9") == ""


def test_a_very_long_chain_is_looked_at_from_its_end() -> None:
    chain = ",".join(["1.1.1.1", *["10.0.0.2"] * 100_000])

    assert BEHIND.of("10.0.0.1", chain) == "10.0.0.2"
