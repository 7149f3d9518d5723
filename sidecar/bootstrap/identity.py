"""By what are users known who ask for themselves? Nothing of it is imported before one does."""

import asyncio
import secrets
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pydantic import SecretStr

from sidecar.adapters.clock import SystemClock
from sidecar.adapters.web import Web
from sidecar.domain.identity import PortalToken
from sidecar.domain.request import Subject
from sidecar.errors import ConfigurationError
from sidecar.ports import Identities
from sidecar.settings import Settings

if TYPE_CHECKING:
    from sidecar.adapters.identity.app_tokens import AppTokens
    from sidecar.adapters.identity.key_set import KeySet


class LateIdentities:
    """Users' identities, put together when the first one is asked for.

    Keys are stretched and PyJWT is imported beside the requests that are answered meanwhile.

    Attributes:
        key_set: of the app's identity provider, None before somebody asked, or where there is none.
    """

    def __init__(self, build: Callable[[], Identities]) -> None:
        self.key_set: KeySet | None = None
        self._build = build
        self._built: asyncio.Task[Identities] | None = None

    async def subject_of(self, token: str) -> Subject:
        """The user that a token is for."""
        return await (await self._ready()).subject_of(token)

    async def issue(self, subject: Subject, ttl_s: int) -> PortalToken:
        """A token for a user."""
        return await (await self._ready()).issue(subject, ttl_s)

    def _ready(self) -> asyncio.Future[Identities]:
        if self._built is None or _has_failed(self._built):
            self._built = asyncio.create_task(asyncio.to_thread(self._build))
        # Whoever goes away does not take along what the others wait for.
        return asyncio.shield(self._built)


def _has_failed(task: asyncio.Task[Identities]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def demand_identity(settings: Settings) -> None:
    """Return if the app's own tokens can be read, or need not be.

    Raises:
        ConfigurationError: something is missing for it.
    """
    if settings.sidecar_jwks_url is None:
        return
    if not settings.sidecar_jwt_issuer or not settings.sidecar_jwt_audience:
        raise ConfigurationError(
            "SIDECAR_JWKS_URL is set: say in SIDECAR_JWT_ISSUER and SIDECAR_JWT_AUDIENCE whose "
            "tokens are meant and for whom, or those for any other app would be taken"
        )
    if find_spec("cryptography") is None:
        raise ConfigurationError(
            "SIDECAR_JWKS_URL is set, and cryptography is not installed: "
            "pip install 'mozaiks-sidecar[jwt]'"
        )


def with_portal_secret(settings: Settings) -> Settings:
    """The settings with something to sign portal tokens with.

    Without any key it is made here: one for all processes that are given these settings, and
    another at the next start.
    """
    if (
        settings.sidecar_portal_secret
        or settings.internal_api_keys
        or settings.sidecar_runtime_keys
    ):
        return settings
    made = [SecretStr(secrets.token_hex(32))]
    return settings.model_copy(update={"sidecar_portal_secret": made})


def identities_of(settings: Settings, web: Web) -> LateIdentities:
    """Who tells users apart.

    Raises:
        ConfigurationError: something is missing for it.
    """
    demand_identity(settings)
    told = with_portal_secret(settings)

    def build() -> Identities:
        from sidecar.adapters.identity.known import KnownIdentities
        from sidecar.adapters.identity.portal_tokens import PortalTokens
        from sidecar.adapters.identity.signing_keys import signing_keys

        callers = [*told.internal_api_keys, *told.sidecar_runtime_keys]
        keys = signing_keys(_revealed(told.sidecar_portal_secret), _revealed(callers))
        app = None
        if settings.sidecar_jwks_url is not None:
            from sidecar.adapters.identity.key_set import KeySet

            late.key_set = KeySet(web, settings.sidecar_jwks_url)
            app = _app_tokens(settings, late.key_set)
        return KnownIdentities(PortalTokens(keys, SystemClock()), app)

    late = LateIdentities(build)
    return late


def _app_tokens(settings: Settings, key_set: "KeySet") -> "AppTokens":
    from sidecar.adapters.identity.app_tokens import AppTokens, Expected

    expected = Expected(
        settings.sidecar_jwt_issuer,
        settings.sidecar_jwt_audience,
        settings.sidecar_jwt_app_claim,
        settings.sidecar_jwt_user_claim,
        settings.sidecar_jwt_tenant_claim,
    )
    return AppTokens(key_set, expected)


def _revealed(given: list[SecretStr]) -> list[str]:
    return [secret.get_secret_value() for secret in given]
