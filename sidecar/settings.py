"""What can be set from outside; the only reader of the environment."""

import difflib
import os
import re
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sidecar.domain.event_log import Format
from sidecar.domain.modes import Ceiling
from sidecar.domain.usage import OnExpiry
from sidecar.domain.windows import parse_duration
from sidecar.errors import ConfigurationError

DEFAULT_STORE = "sqlite:///./data/sidecar.db"

_OURS = ("SIDECAR_", "MOZAIKS_", "CONTROL_PLANE_USAGE_INGEST_")


class Deployment(StrEnum):
    """Whose installation this is."""

    SELF_HOSTED = "self-hosted"
    PLATFORM = "platform"


def _keys(value: object) -> object:
    if not isinstance(value, str):
        return value
    keys = [part.strip() for part in value.split(",") if part.strip()]
    if value and not keys:
        # Whoever sets this wants callers to show a key.
        raise ValueError("is set, but there is no key in it")
    return keys


def _template(*further: str) -> AfterValidator:
    """A check of the names in braces: of the subject, and what this template has besides."""
    known = ("{app_id}", "{user_id}", *further)

    def check(value: str | None) -> str | None:
        unknown = set(re.findall(r"{[^{}]*}", value or "")).difference(known)
        if unknown:
            named = ", ".join(known[:-1])
            raise ValueError(f"knows {named} and {known[-1]}, not {min(unknown)}")
        return value

    return AfterValidator(check)


def _unset_if_empty(value: object) -> object:
    return None if value == "" else value


def _long_enough(secrets: list[SecretStr]) -> list[SecretStr]:
    if any(len(secret.get_secret_value()) < _SHORTEST_SECRET for secret in secrets):
        raise ValueError(
            f"a secret has {_SHORTEST_SECRET} characters or more; openssl rand -hex 32 makes one"
        )
    return secrets


def _ancestors(value: object) -> object:
    """Origins with spaces between them, as a browser reads `frame-ancestors`."""
    if not isinstance(value, str):
        return value
    found = [part.strip("'") for part in value.replace(",", " ").split()]
    if found in ([], ["none"]):
        return "'none'"
    for each in found:
        if each != "self" and not _ORIGIN.fullmatch(each):
            raise ValueError("knows none, self and origins such as https://app.example.com")
    return " ".join("'self'" if each == "self" else each for each in found)


def _span(value: object) -> object:
    if not isinstance(value, str):
        return value
    span = parse_duration(value)
    if span is None:
        raise ValueError("is no time as 90m, 72h or 3d")
    return span


def _names(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


def _hosts(names: list[str]) -> list[str]:
    for name in names:
        if name != "*" and not _HOST.fullmatch(name):
            raise ValueError(f"{name} is no name such as usage.internal; ports play no part")
    return names


def _proxies(names: list[str]) -> list[str]:
    for name in names:
        if name != "unix":
            try:
                ip_network(name, strict=False)
            except ValueError:
                told = f"{name} is no address, no network as 10.0.0.0/8, and not unix"
                raise ValueError(told) from None
    return names


def _kept(value: object) -> object:
    if value == "":
        return None
    return timedelta() if value == "0" else _span(value)


_SECRETIVE = (
    "*password*", "*secret*", "*token", "*apikey*", "*api_key*", "*authorization*", "*cookie*",
)  # fmt: skip

_SHORTEST_SECRET = 32
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_ORIGIN = re.compile(
    r"https?://(\*\.)?[A-Za-z0-9.-]+(:(\d{1,5}|\*))?|https?://\[[0-9A-Fa-f:]+\](:\d{1,5})?"
)

Names = Annotated[list[str], NoDecode, BeforeValidator(_names)]
Keys = Annotated[list[SecretStr], NoDecode, BeforeValidator(_keys)]


class Settings(BaseSettings):
    """Every setting, from the environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True, frozen=True)

    mozaiks_mode: Deployment = Field(
        Deployment.SELF_HOSTED,
        description="Whose installation this is: self-hosted or platform. On platform every "
        "advisory file is enforced.",
    )
    mozaiks_enforce_quotas: Annotated[bool | None, BeforeValidator(_unset_if_empty)] = Field(
        None,
        description="true: files are enforced, those that say off excepted; false: nothing is "
        "harsher than a warning; unset: as the files say (on platform: true).",
    )
    sidecar_policies: Annotated[Path | None, BeforeValidator(_unset_if_empty)] = Field(
        None, description="The directory of policy files. Default: the shipped self-hosted set."
    )
    sidecar_policies_poll_s: Annotated[float, Field(ge=0, le=3_600)] = Field(
        5,
        description="How often the server looks whether the files of a policy directory, or the "
        "price file, have changed, in seconds; 0 for only when it is told to.",
    )
    sidecar_policy_tests_s: Annotated[float, Field(ge=0, le=600)] = Field(
        10,
        description="How long the tests beside policies may take before the policies are put in "
        "force, in seconds; 0 runs none.",
    )
    sidecar_shadow_policies: Annotated[Path | None, BeforeValidator(_unset_if_empty)] = Field(
        None,
        description="The directory of a candidate that every check is put to as well; it changes "
        "no answer, and `GET /v1/policies` lists what it would have changed.",
    )
    sidecar_store: str = Field(
        DEFAULT_STORE,
        repr=False,
        description="Where usage is counted: sqlite:///PATH (embedded; sqlite:// is memory), "
        "redis://, rediss:// or unix://; redis+sentinel:// or redis+cluster:// for several "
        "servers.",
    )
    sidecar_store_timeout_ms: Annotated[int, Field(ge=1, le=60_000)] = Field(
        50,
        description="How long one request waits for Redis in all, in milliseconds; then the "
        "policies' failure mode decides. The embedded store has 2000.",
    )
    internal_api_keys: Keys = Field(
        [],
        validation_alias=AliasChoices("internal_api_keys", "INTERNAL_API_KEY"),
        description="Keys of the control plane, comma-separated.",
    )
    sidecar_runtime_keys: Keys = Field(
        [], description="Keys of runtimes: check, reservations, usage; comma-separated."
    )
    sidecar_read_keys: Keys = Field(
        [], description="Keys that only read: dashboards, support; comma-separated."
    )
    sidecar_insecure: bool = Field(
        False, description="true: listen on other addresses than loopback without any key."
    )
    sidecar_hosts: Annotated[Names, AfterValidator(_hosts)] = Field(
        [],
        description="Without any key: the names that callers may call the server by, with commas, "
        "beside localhost and loopback addresses; * is any. Unset: no others, and any where "
        "SIDECAR_INSECURE is true.",
    )
    sidecar_trusted_proxies: Annotated[Names, AfterValidator(_proxies)] = Field(
        [],
        description="Proxies in front of the server, as addresses and networks with commas; unix "
        "for those on its socket. Their X-Forwarded-For says where wrong keys for the dashboard "
        "come from. Unset: nobody's is believed.",
    )
    sidecar_upgrade_url: Annotated[
        str | None, BeforeValidator(_unset_if_empty), _template("{plan}")
    ] = Field(
        None,
        description="Where a user can upgrade, shown in refusals; {app_id}, {user_id} and "
        "{plan} are filled in.",
    )
    sidecar_top_up_url: Annotated[
        str | None, BeforeValidator(_unset_if_empty), _template("{limit}")
    ] = Field(
        None,
        description="Where a user can buy further units, shown in refusals that they would mend; "
        "{app_id}, {user_id} and {limit} are filled in.",
    )
    subscription_api_url: Annotated[
        Annotated[str, Field(pattern=r"^https?://[^/?#\s]+/\S*$")] | None,
        BeforeValidator(_unset_if_empty),
        _template(),
    ] = Field(
        None,
        description="Where the subscription of a user is asked for of whom nothing was pushed; "
        "{app_id} and {user_id} are filled in.",
    )
    wallet_api_url: Annotated[
        Annotated[str, Field(pattern=r"^https?://[^/?#\s]+/\S*$")] | None,
        BeforeValidator(_unset_if_empty),
        _template(),
    ] = Field(
        None,
        description="Where the balance of a user is asked for of whom none was pushed; {app_id} "
        "and {user_id} are filled in.",
    )
    mozaiks_gateway_url: Annotated[
        Annotated[str, Field(pattern=r"^https?://[^/?#\s]+/?$")] | None,
        BeforeValidator(_unset_if_empty),
    ] = Field(
        None,
        description="The gateway that takes the platform's money, as https://host: checkouts and "
        "cancellations are handed to it. Unset: SIDECAR_UPGRADE_URL is where users are sent.",
    )
    mozaiks_app_key: SecretStr | None = Field(
        None,
        description="The key that lets this app in at the gateway, the subscription API and the "
        "wallet API.",
    )
    sidecar_webhook_url: Annotated[
        Annotated[str, Field(pattern=r"^https?://[^/?#\s]+\S*$")] | None,
        BeforeValidator(_unset_if_empty),
    ] = Field(
        None,
        description="Where notices are posted: limits that are reached or have reached their "
        "warning, balances that are low, policies that were refused. Signed as Standard Webhooks "
        "say.",
    )
    sidecar_webhook_secret: SecretStr = Field(
        SecretStr(""),
        description="What notices are signed with: whsec_ and base64; several, with commas, while "
        "one takes the place of another.",
    )
    sidecar_portal_secret: Annotated[Keys, AfterValidator(_long_enough)] = Field(
        [],
        description="What portal tokens are signed with, 32 characters or more; several, with "
        "commas: the first signs, all are taken. Unset: made from INTERNAL_API_KEY and "
        "SIDECAR_RUNTIME_KEYS.",
    )
    sidecar_portal_url: Annotated[
        Annotated[str, Field(pattern=r"^https?://[^/?#\s]+/[^?#\s]*$")] | None,
        BeforeValidator(_unset_if_empty),
    ] = Field(
        None,
        description="Where users' browsers reach `/portal`, as https://usage.example.com/portal; "
        "it begins the `url` of a portal token. Unset: the path alone.",
    )
    sidecar_portal_ancestors: Annotated[str, BeforeValidator(_ancestors)] = Field(
        "'none'",
        description="Origins whose pages may frame `/portal`, such as https://app.example.com, "
        "with commas; self is its own. Unset, none may.",
    )
    sidecar_jwks_url: Annotated[
        Annotated[str, Field(pattern=r"^https?://[^/?#\s]+/\S*$")] | None,
        BeforeValidator(_unset_if_empty),
    ] = Field(
        None,
        description="The key set of the app's identity provider: users may come with its tokens "
        "(JWT) too. Needs issuer and audience, and the extra jwt.",
    )
    sidecar_jwt_issuer: str = Field("", description="What such a token's `iss` is, to the letter.")
    sidecar_jwt_audience: Names = Field(
        [], description="What is among its `aud`; one of several, with commas."
    )
    sidecar_jwt_app_claim: Annotated[str, Field(min_length=1)] = Field(
        "app_id", description="The claim of such a token that names the app."
    )
    sidecar_jwt_user_claim: Annotated[str, Field(min_length=1)] = Field(
        "sub", description="The claim of such a token that names the user."
    )
    sidecar_jwt_tenant_claim: str = Field(
        "", description="The claim of such a token that names the tenant, where apps have tenants."
    )
    control_plane_usage_ingest_enabled: bool = Field(
        False, description="true: each accepted event is posted to the control plane."
    )
    control_plane_usage_ingest_url: Annotated[
        Annotated[str, Field(pattern=r"^https?://[^/?#\s]+\S*$")] | None,
        BeforeValidator(_unset_if_empty),
    ] = Field(None, repr=False, description="Where accepted events are posted, if that is enabled.")
    control_plane_usage_ingest_format: Format = Field(
        Format.SUMMARY,
        description="summary: one event in each message, as it came; events: up to 100 in each, in "
        "the platform's words.",
    )
    control_plane_usage_ingest_key: SecretStr | None = Field(
        None, description="The key that goes along, as X-Internal-API-Key."
    )
    sidecar_outbox_max: Annotated[int, Field(ge=1, le=100_000_000)] = Field(
        1_000_000,
        description="How many events may wait for the control plane, those that it refused among "
        "them; when there are as many, no usage is taken any more (503).",
    )
    sidecar_events_kept: Annotated[timedelta | None, BeforeValidator(_kept)] = Field(
        None,
        description="How long accepted events can be exported, such as 35d or 12h; 0 keeps none. "
        "Unset: 35d in the embedded store, none on Redis.",
    )
    sidecar_prices: Annotated[Path | None, BeforeValidator(_unset_if_empty)] = Field(
        None, description="The file that says what the tokens of each model cost."
    )
    sidecar_on_expiry: OnExpiry = Field(
        OnExpiry.RELEASE,
        description="What becomes of units whose reservation expires: release gives them back, "
        "charge counts them as used until a late commit says better.",
    )
    sidecar_settle: Annotated[
        timedelta, BeforeValidator(_span), Field(ge=timedelta(hours=1), le=timedelta(days=30))
    ] = Field(
        timedelta(hours=72),
        description="How long after its end a billing period still takes in what is reported "
        "late, from 1h to 30d; then it is closed, and what comes is an adjustment.",
    )
    sidecar_leases: bool = Field(
        False,
        description="true: checks of users who ask often and have plenty of room are answered "
        "in memory, out of units held in Redis in advance; for one worker beside its runtime.",
    )

    sidecar_drain_s: Annotated[
        Annotated[float, Field(ge=0, le=600)] | None, BeforeValidator(_unset_if_empty)
    ] = Field(
        None,
        description="How long the server serves on after SIGTERM, while `/readyz` says 503 and "
        "balancers look elsewhere, in seconds. Unset: 2, and 0 on a terminal.",
    )
    sidecar_client_timeout_s: Annotated[float, Field(ge=0.1, le=600)] = Field(
        10,
        description="How long a client may take to send one request, and to take what waits for "
        "it, in seconds; then its connection is closed.",
    )
    sidecar_connections: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        10_000,
        description="Connections that one process keeps open; for a further one those make room "
        "that wait longest for their client.",
    )

    sidecar_decision_log: Annotated[Path | None, BeforeValidator(_unset_if_empty)] = Field(
        None,
        description="The directory that decisions are written to, a line of JSON each: refusals, "
        "warnings and what was decided without a fact always, allows as the next one says. Unset: "
        "the latest refusals and warnings are kept in memory alone.",
    )
    sidecar_decision_log_allows: Annotated[float, Field(ge=0, le=1)] = Field(
        1.0,
        description="The part of users, 0 to 1, whose allows are written to the decision log too.",
    )
    sidecar_decision_log_file_mb: Annotated[int, Field(ge=1, le=4_096)] = Field(
        64, description="Megabytes after which a file of the decision log is followed by another."
    )
    sidecar_decision_log_files: Annotated[int, Field(ge=2, le=10_000)] = Field(
        16, description="Files that the decision log keeps, of all processes; the oldest go first."
    )
    sidecar_decision_log_chain: bool = Field(
        False,
        description="true: each line of the decision log carries the hash of the one before, so "
        "that `sidecar decisions verify` finds what was changed, left out or put in.",
    )
    sidecar_spool: Annotated[Path | None, BeforeValidator(_unset_if_empty)] = Field(
        Path("data/spool"),
        description="The directory that keeps usage, commits and releases while the store is away; "
        "they are counted when it is back. Empty: they are refused with 503 meanwhile.",
    )
    sidecar_spool_max_mb: Annotated[int, Field(ge=1, le=1_048_576)] = Field(
        256, description="Megabytes that the spool may have; what comes then is refused with 503."
    )
    sidecar_sensitive_attributes: Names = Field(
        list(_SECRETIVE),
        description="Names of request attributes and subscription metadata whose values are never "
        "written down, as globs in any case, comma-separated; * hides all values.",
    )

    sidecar_access_log: bool = Field(
        False, description="true: each request is a line in the log, its path without ids."
    )
    otel_exporter_otlp_endpoint: Annotated[str | None, BeforeValidator(_unset_if_empty)] = Field(
        None,
        description="Where traces are sent, as OpenTelemetry has it: http://host:4318. Needs the "
        "extra otel.",
    )
    otel_exporter_otlp_traces_endpoint: Annotated[str | None, BeforeValidator(_unset_if_empty)] = (
        Field(None, description="The same with the whole path, for traces alone.")
    )
    otel_exporter_otlp_protocol: Annotated[
        Literal["http/protobuf"] | None, BeforeValidator(_unset_if_empty)
    ] = Field(None, description="http/protobuf, which is the only one.")
    otel_traces_exporter: Annotated[
        Literal["otlp", "console", "none"] | None, BeforeValidator(_unset_if_empty)
    ] = Field(
        None,
        description="otlp, console or none. Unset: otlp where an endpoint is named, else none.",
    )
    otel_sdk_disabled: Annotated[bool, BeforeValidator(lambda value: value or False)] = Field(
        False, description="true: nothing is traced, whatever else is set."
    )

    @property
    def traces_exporter(self) -> str | None:
        """Where spans go, None where nothing is traced."""
        if self.otel_sdk_disabled or self.otel_traces_exporter == "none":
            return None
        endpoint = self.otel_exporter_otlp_traces_endpoint or self.otel_exporter_otlp_endpoint
        return self.otel_traces_exporter or ("otlp" if endpoint else None)

    @property
    def ceiling(self) -> Ceiling:
        """What the operator does to the modes that files state."""
        match self.mozaiks_enforce_quotas:
            case True:
                return Ceiling.RAISED
            case False:
                return Ceiling.CAPPED
            case None if self.mozaiks_mode is Deployment.PLATFORM:
                return Ceiling.RAISED
            case None:
                return Ceiling.AS_WRITTEN

    @property
    def secrets(self) -> list[str]:
        """Every secret that is set: none of them is ever written."""
        keys = (
            *self.internal_api_keys, *self.sidecar_runtime_keys, *self.sidecar_read_keys,
            *self.sidecar_portal_secret,
        )  # fmt: skip
        told = [key.get_secret_value() for key in keys]
        theirs = (self.mozaiks_app_key, self.control_plane_usage_ingest_key)
        told += [key.get_secret_value() for key in theirs if key is not None]
        hooks = self.sidecar_webhook_secret.get_secret_value().split(",")
        told += [part.strip().removeprefix("whsec_") for part in hooks]
        other = self.control_plane_usage_ingest_url or ""
        for url in (self.sidecar_store, self.sidecar_webhook_url or "", other):
            # As it stands in the address, and as it is meant.
            given = re.match(r"[^/?#]*//[^/?#@]*:([^/?#]*)@", url)
            if given is not None:
                told += [given[1], unquote(given[1])]
        return [secret for secret in told if secret]

    @property
    def has_keys(self) -> bool:
        """Whether any caller has to show a key."""
        return bool(self.internal_api_keys or self.sidecar_runtime_keys or self.sidecar_read_keys)


def unread_variables() -> list[str]:
    """What to say of variables that look like settings and are not read."""
    known = [variable(name) for name in Settings.model_fields]
    notes = []
    for name in sorted(os.environ):
        if name.startswith(_OURS) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            notes.append(f"{name} is no setting" + (f"; did you mean {near[0]}?" if near else ""))
    return notes


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return "INTERNAL_API_KEY" if name == "internal_api_keys" else name.upper()


def read_settings(**given: object) -> Settings:
    """The settings of the environment, with what was given on the command line in front.

    Raises:
        ConfigurationError: naming each variable whose value is wrong, never the value of a key.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**chosen)  # type: ignore[arg-type] # pydantic checks what click gave
    except ValidationError as error:
        lines = [
            f"{variable(str(found['loc'][0]))}: {found['msg'].removeprefix('Value error, ')}"
            for found in error.errors(include_url=False, include_input=False)
        ]
        raise ConfigurationError("\n".join(lines)) from None
