"""What can be set, and what is told of a setting that is wrong?"""

from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.bootstrap.identity import demand_identity
from sidecar.domain.usage import OnExpiry
from sidecar.errors import ConfigurationError
from sidecar.settings import read_settings, unread_variables


def test_prices_expiry_and_the_shop_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDECAR_PRICES", "prices.yaml")
    monkeypatch.setenv("SIDECAR_ON_EXPIRY", "charge")
    monkeypatch.setenv("SIDECAR_TOP_UP_URL", "https://pay.example/{app_id}/{user_id}/{limit}")

    settings = read_settings()

    assert settings.sidecar_prices == Path("prices.yaml")
    assert settings.sidecar_on_expiry is OnExpiry.CHARGE
    assert settings.sidecar_top_up_url == "https://pay.example/{app_id}/{user_id}/{limit}"
    assert unread_variables() == []


def test_what_expires_is_given_back_unless_something_else_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SIDECAR_ON_EXPIRY", raising=False)
    assert read_settings().sidecar_on_expiry is OnExpiry.RELEASE


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SIDECAR_ON_EXPIRY", "keep", "SIDECAR_ON_EXPIRY: Input should be 'release' or 'charge'"),
        ("SIDECAR_TOP_UP_URL", "{plan}",
         "SIDECAR_TOP_UP_URL: knows {app_id}, {user_id} and {limit}, not {plan}"),
        ("SIDECAR_PORTAL_SECRET", f"{'s' * 32},short",
         "SIDECAR_PORTAL_SECRET: a secret has 32 characters or more; "
         "openssl rand -hex 32 makes one"),
        ("SIDECAR_PORTAL_ANCESTORS", "https://a.example; script-src *",
         "SIDECAR_PORTAL_ANCESTORS: knows none, self and origins such as https://app.example.com"),
        ("SIDECAR_HOSTS", "usage.internal:8377",
         "SIDECAR_HOSTS: usage.internal:8377 is no name such as usage.internal; "
         "ports play no part"),
        ("SIDECAR_TRUSTED_PROXIES", "10.0.0.0/8, proxy",
         "SIDECAR_TRUSTED_PROXIES: proxy is no address, no network as 10.0.0.0/8, and not unix"),
        ("SIDECAR_UPGRADE_URL", "{limit}",
         "SIDECAR_UPGRADE_URL: knows {app_id}, {user_id} and {plan}, not {limit}"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_what_may_stand_there(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refused:
        read_settings()
    assert str(refused.value) == message


@pytest.mark.parametrize("name", ["SIDECAR_PRICES", "SIDECAR_TOP_UP_URL"])
def test_an_empty_variable_is_as_good_as_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "")
    assert getattr(read_settings(), name.lower()) is None


@pytest.mark.parametrize(
    ("value", "kept"),
    [("", None), ("0", timedelta()), ("35d", timedelta(days=35)), ("12h", timedelta(hours=12))],
)
def test_how_long_events_are_kept_is_a_time_or_nothing(
    value: str, kept: timedelta | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIDECAR_EVENTS_KEPT", value)
    assert read_settings().sidecar_events_kept == kept


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIDECAR_EVENTS_KEPT", "35"), ("SIDECAR_EVENTS_KEPT", "-1d"), ("SIDECAR_OUTBOX_MAX", "0"),
        ("CONTROL_PLANE_USAGE_INGEST_URL", "ftp://x"), ("CONTROL_PLANE_USAGE_INGEST_FORMAT", "x"),
        ("CONTROL_PLANE_USAGE_INGEST_ENABLED", "perhaps"),
    ],
)  # fmt: skip
def test_a_wrong_setting_of_the_outbox_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        read_settings()


def test_the_key_of_the_control_plane_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROL_PLANE_USAGE_INGEST_KEY", "secret-key")
    assert "secret-key" not in repr(read_settings())


def test_a_setting_of_the_control_plane_that_is_none_is_pointed_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONTROL_PLANE_USAGE_INGEST_URI", "http://x/y")
    [note] = unread_variables()
    assert note.endswith("did you mean CONTROL_PLANE_USAGE_INGEST_URL?")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("", "'none'"),
        ("none", "'none'"),
        ("'none'", "'none'"),
        ("self", "'self'"),
        ("https://app.example.com", "https://app.example.com"),
        ("'self', https://*.example.com:8443", "'self' https://*.example.com:8443"),
        ("http://localhost:3000 http://[::1]:3000", "http://localhost:3000 http://[::1]:3000"),
    ],
)
def test_who_may_frame_the_page_is_told_as_a_browser_reads_it(
    value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIDECAR_PORTAL_ANCESTORS", value)
    assert read_settings().sidecar_portal_ancestors == told


def test_keys_of_an_identity_provider_are_not_taken_for_whoever_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SIDECAR_JWKS_URL", "https://login.example/jwks.json")
    monkeypatch.setenv("SIDECAR_JWT_ISSUER", "https://login.example")
    with pytest.raises(ConfigurationError, match="SIDECAR_JWT_AUDIENCE"):
        demand_identity(read_settings())
    monkeypatch.setenv("SIDECAR_JWT_AUDIENCE", "web")
    demand_identity(read_settings())


def test_what_is_not_installed_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SIDECAR_JWT_ISSUER", "SIDECAR_JWT_AUDIENCE"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("SIDECAR_JWKS_URL", "https://login.example/jwks.json")
    monkeypatch.setattr("sidecar.bootstrap.identity.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'mozaiks-sidecar\[jwt\]'"):
        demand_identity(read_settings())
