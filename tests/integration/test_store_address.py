"""A wrong store address stops the start with words of ours, and with no part of a password."""

import pytest

from sidecar.bootstrap import Store, describe_store, is_in_memory
from sidecar.errors import ConfigurationError
from sidecar.settings import Settings


def fault_of(url: str) -> str:
    with pytest.raises(ConfigurationError) as raised:
        Store(url, 50)
    return str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3cr3t/x@h:6379/0",
        "redis://:x/s3cr3t@h:6379/0",
        "redis://:1/s3cr3t@h:6379/0",
        "redis://:1#s3cr3t@h:6379/0",
        "redis://:1?s3cr3t@h:6379/0",
        "redis://:1?s3cr3t=1@h:6379/0",
        "redis://[s3cr3t@h",
        "redis://:\u2100s3cr3t@h",
        "rediss://h?ssl_cert_reqs=s3cr3t",
    ],
)
def test_a_password_that_is_not_escaped_is_never_shown(url: str) -> None:
    message = fault_of(url)
    assert message.startswith("SIDECAR_STORE: ")
    assert "s3cr3t" not in message
    assert "\n" not in message


@pytest.mark.parametrize("sign", ["/", "#", "?"])
def test_what_to_escape_in_a_password_is_told(sign: str) -> None:
    told = "in the password, percent-encode the signs /, @, :, # and ?"
    assert fault_of(f"redis://:a{sign}b@h:6379/0").endswith(told)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h/0?foo=x", "behind the ? stand other options than client_name, db, "),
        ("redis://h/0?socket_timeout=x", "behind the ? stand other options"),
        ("redis://h/0?ssl_cert_reqs=none", "behind the ? stand other options"),
        ("redis://h?socket_connect_timeout=x", "an option behind the ? has a value"),
        ("redis://h?db=x", "an option behind the ? has a value"),
        ("redis://h/abc", "the number of a database stands behind the host"),
        ("redis:h", "the number of a database stands behind the host"),
        ("redis://h:99999", "not an address"),
        ("redis://h#x", "a # stands in the address"),
        ("unix://run/redis.sock", "a path follows three slashes, as in unix:///"),
        ("unix://", "a path follows three slashes, as in unix:///"),
        ("sqlite://?x", "a path follows three slashes, as in sqlite:///"),
        ("sqlite:///a?x", "a path follows three slashes, as in sqlite:///"),
        ("sqlite:///a#x", "a path follows three slashes, as in sqlite:///"),
        ("data.db", "no store has the scheme ''"),
    ],
)
def test_a_wrong_address_is_told_before_anything_begins(url: str, expected: str) -> None:
    assert fault_of(url).startswith(f"SIDECAR_STORE: {expected}")


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://user:p%2Fw@h:6379/3",
        "redis://h?db=3&client_name=sidecar",
        "rediss://h/0?ssl_cert_reqs=none&ssl_ca_certs=ca.pem",
        "unix:///run/redis.sock?db=1&password=x",
        "sqlite://",
        "sqlite:////var/lib/sidecar.db",
    ],
)
def test_a_right_address_is_taken(url: str) -> None:
    Store(url, 50)
    assert "password" not in describe_store(url)


@pytest.mark.parametrize(
    ("url", "expected"), [("sqlite://", True), ("sqlite:///", True), ("sqlite:///a", False)]
)
def test_a_store_without_a_path_is_in_memory(url: str, expected: bool) -> None:
    assert is_in_memory(url) is expected


def test_settings_are_shown_without_the_address_of_the_store() -> None:
    settings = Settings.model_validate({"sidecar_store": "redis://:s3cr3t@h"})
    assert "s3cr3t" not in f"{settings!r} {settings}"
