"""A wrong store address stops the start with words of ours, and with no part of a password."""

from pathlib import Path

import pytest

from sidecar.adapters.address import RedisAddress, mistakable, read_address
from sidecar.bootstrap.stores import Store, describe_store, is_in_memory
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
        "redis+cluster://:s3cr3t/x@h:6379",
        "redis+cluster://:1#s3cr3t@h:6379,i:6379",
        "redis+cluster://:1?s3cr3t=1@h:6379",
        "redis+cluster://:s3cr3t@h:6379,s3cr3t@i:6379",
        "redis+sentinel://:x/s3cr3t@h:26379/mymaster",
        "redis+sentinel://:1,s3cr3t:1@:1/mymaster",
        "redis+sentinel://h:26379/s3cr3t/mymaster",
        "redis+sentinel://h:26379/mymaster?sentinel_password=1&s3cr3t=2",
        "redis+sentinel://h:26379/mymaster?wait_replicas=s3cr3t",
    ],
)
def test_a_password_that_is_not_escaped_is_never_shown(url: str) -> None:
    message = fault_of(url)
    assert message.startswith("SIDECAR_STORE: ")
    assert "s3cr3t" not in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "url", ["sqlite:///./tmp/s.db", "sqlite:///../tmp/s.db", "sqlite:////tmp/s.db", "sqlite://",
            "sqlite:///s.db", "sqlite:///no-such-folder/s.db", "redis://h/0", "unix:///tmp/s.sock"],
)  # fmt: skip
def test_a_path_that_says_what_it_means_needs_no_note(url: str) -> None:
    assert mistakable(url) is None


def test_a_path_that_may_have_been_meant_as_absolute_is_told_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert mistakable("sqlite:///tmp/deep/s.db") == (
        f"the store is {tmp_path}/tmp/deep/s.db, below the present directory; for /tmp/deep/s.db "
        "write sqlite:////tmp/deep/s.db, and ./tmp/deep/s.db to say that it is meant so"
    )
    monkeypatch.chdir("/")
    assert mistakable("sqlite:///tmp/deep/s.db") is None


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
        ("redis://h?wait_replicas=many", "wait_replicas behind the ? is a number from 0 to 9"),
        ("redis://h?sentinel_password=x", "behind the ? stand other options"),
        ("redis+sentinel://h:1,i:2", "behind the sentinels stands the name by which they know"),
        ("redis+sentinel://h:1/m/x", "behind the sentinels stands the name by which they know"),
        ("redis+sentinel://h:1,,i:2/m", "hosts with their ports stand behind the two slashes"),
        ("redis+sentinel:///m", "hosts with their ports stand behind the two slashes"),
        ("redis+sentinel://h:1/m?ssl_cert_reqs=none", "behind the ? stand other options"),
        ("redis+sentinel://h:1/m?ssl=x", "behind the ? stand other options than client_name, db, "),
        ("redis+cluster://h:99999", "hosts with their ports stand behind the two slashes"),
        ("redis+cluster://h:0", "hosts with their ports stand behind the two slashes"),
        ("redis+cluster://h:1/1", "a Cluster has one database, so nothing stands behind"),
        ("redis+cluster://h:1?db=1", "a Cluster has one database, so nothing stands behind"),
        ("redis+cluster://h:1?socket_connect_timeout=x", "an option behind the ? has a value"),
        ("redis+cluster://[::1", "not an address"),
        (
            "redis+cluste://h",
            "no store has the scheme 'redis+cluste'; use sqlite:///PATH, redis://",
        ),
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
        "redis://h?wait_replicas=1",
        "redis+sentinel://h/mymaster",
        "redis+sentinel://user:p%2Fw@h:26379,i,[::1]:26380/my.master-1/3?wait_replicas=2",
        "redis+sentinel://h/m?sentinel_username=watch&sentinel_password=pass%40word",
        "rediss+sentinel://h,i/m?ssl_cert_reqs=none",
        "redis+cluster://h",
        "redis+cluster://user:p%2Fw@h:6379,i,[::1]:6380/0?client_name=sidecar",
        "rediss+cluster://h,i/?ssl_ca_certs=ca.pem",
        "sqlite://",
        "sqlite:////var/lib/sidecar.db",
    ],
)
def test_a_right_address_is_taken(url: str) -> None:
    Store(url, 50)
    assert "password" not in describe_store(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://user:s3cr3t@h:6379/3", "Redis, redis://h:6379"),
        ("unix:///run/redis.sock?password=s3cr3t", "Redis, unix:///run/redis.sock"),
        (
            "redis+sentinel://:s3cr3t@h,[::1]:1/m/2?sentinel_password=s3cr3t",
            "Redis, redis+sentinel://h:26379,[::1]:1/m",
        ),
        ("rediss+cluster://u:s3cr3t@h:7000,i", "Redis, rediss+cluster://h:7000,i:6379"),
        ("sqlite://", "embedded SQLite, in memory"),
    ],
)
def test_an_address_is_shown_without_whoever_logs_in(url: str, expected: str) -> None:
    assert describe_store(url) == expected
    assert "s3cr3t" not in repr(read_address(url))


def test_everything_in_an_address_of_sentinels_finds_its_place() -> None:
    address = read_address(
        "redis+sentinel://app:p%2Fw@h,i:1/m/2?client_name=c&sentinel_username=s&sentinel_password=q"
    )
    assert isinstance(address, RedisAddress)
    assert (address.hosts, address.service) == ((("h", 26379), ("i", 1)), "m")
    assert address.sentinel_login == ("s", "q")
    assert address.server == "redis://app:p%2Fw@sentinel/2?client_name=c"


@pytest.mark.parametrize(
    ("url", "expected"), [("sqlite://", True), ("sqlite:///", True), ("sqlite:///a", False)]
)
def test_a_store_without_a_path_is_in_memory(url: str, expected: bool) -> None:
    assert is_in_memory(url) is expected


def test_settings_are_shown_without_the_address_of_the_store() -> None:
    settings = Settings.model_validate({"sidecar_store": "redis://:s3cr3t@h"})
    assert "s3cr3t" not in f"{settings!r} {settings}"
