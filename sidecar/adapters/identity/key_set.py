"""With which keys does the app's identity provider sign? Its key set (RFC 7517), as told last."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jwt
import structlog

from sidecar.adapters.web import Web
from sidecar.errors import IdentityRefused, IdentityUnavailable, Unavailable

KINDS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "RS256": {"kty": ("RSA",)},
    "PS256": {"kty": ("RSA",)},
    "ES256": {"kty": ("EC",), "crv": ("P-256",)},
    "EdDSA": {"kty": ("OKP",), "crv": ("Ed25519", "Ed448")},
}
"""What a key is like that a token of each algorithm is judged by: public ones alone."""
_PUBLIC: Final = ("kty", "crv", "n", "e", "x", "y")
_MOST_KEYS: Final = 100

_log = structlog.get_logger("sidecar.identity")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often keys are asked for, in seconds.

    Attributes:
        fresh_s: they are used without asking.
        stale_s: they are used while nobody answers.
        rest_s: between two questions, whoever brings whatever.
        wait_s: how long a user waits for an answer.
    """

    fresh_s: float = 300.0
    stale_s: float = 86_400.0
    rest_s: float = 10.0
    wait_s: float = 3.0


@dataclass(frozen=True, slots=True)
class _Told:
    """What was told, and at which monotonic instant."""

    keys: tuple[Mapping[str, Any], ...]
    at: float


class KeySet:
    """The public keys at an address.

    Attributes:
        fault: why the latest question was not answered, empty where it was.
    """

    def __init__(
        self,
        web: Web,
        url: str,
        patience: Patience = Patience(),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._web = web
        self._url = url
        self._patience = patience
        self._monotonic = monotonic
        self.fault = ""
        self._told: _Told | None = None
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        """How many keys were told last."""
        return 0 if self._told is None else len(self._told.keys)

    async def key_for(self, algorithm: str, key_id: object) -> jwt.PyJWK:
        """The key that a token is judged by.

        Args:
            key_id: as the token's header has it; None where it has none.

        Raises:
            IdentityRefused: there is no such key.
            IdentityUnavailable: no keys are known.
        """
        now, told = self._monotonic(), self._told
        if told is None or now - told.at >= self._patience.stale_s:
            await self._ask_again()
            told = self._told
            if told is None or self._monotonic() - told.at >= self._patience.stale_s:
                raise IdentityUnavailable("the key set of the identity provider cannot be had")
        elif now - told.at >= self._patience.fresh_s:
            self._ask_soon()
        found = self._find(algorithm, key_id)
        if found is None:
            # Keys change, and the first token of a new one comes before anybody says so.
            await self._ask_again()
            found = self._find(algorithm, key_id)
        if found is None:
            raise IdentityRefused("the token is signed with a key that is not in the key set")
        return found

    def _find(self, algorithm: str, key_id: object) -> jwt.PyJWK | None:
        told = self._told
        fitting = [key for key in (told.keys if told else ()) if _fits(key, algorithm)]
        if key_id is not None:
            fitting = [key for key in fitting if key.get("kid") == key_id]
        # Without a name it can be only one: what is tried out is not what was meant.
        if not fitting or (key_id is None and len(fitting) > 1):
            return None
        public = {name: fitting[0][name] for name in _PUBLIC if name in fitting[0]}
        try:
            return jwt.PyJWK(public, algorithm)
        except (jwt.PyJWTError, ValueError, TypeError):
            _log.warning("key_that_is_none", kid=str(fitting[0].get("kid"))[:64])
            return None

    async def _ask_again(self) -> None:
        """Wait for the latest keys, unless they were asked for just now."""
        asking = self._ask_soon()
        if asking is not None:
            # Whoever goes away does not take the answer of the others along.
            await asyncio.wait({asking}, timeout=self._patience.wait_s)

    def _ask_soon(self) -> asyncio.Task[None] | None:
        """The question that is under way, None where it is too soon for another."""
        if self._asking is None:
            if self._monotonic() - self._asked_at < self._patience.rest_s:
                return None
            self._asked_at = self._monotonic()
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._answered)
        return self._asking

    def _answered(self, _: asyncio.Task[None]) -> None:
        self._asking = None

    async def _ask(self) -> None:
        try:
            answer = await self._web.ask("GET", self._url, headers={"Accept": "application/json"})
        except Unavailable as error:
            self._miss(str(error))
            return
        body = answer.body
        keys = body.get("keys") if isinstance(body, dict) else None
        if not answer.is_success or not isinstance(keys, list):
            self._miss(f"it answered {answer.status}, and no key set")
            return
        readable = tuple(key for key in keys[:_MOST_KEYS] if isinstance(key, dict))
        self._told, self.fault = _Told(readable, self._monotonic()), ""

    def _miss(self, fault: str) -> None:
        self.fault = fault
        _log.warning("key_set_not_told", error=fault)


def _fits(key: Mapping[str, Any], algorithm: str) -> bool:
    """Whether a key is for that algorithm and for judging signatures."""
    operations = key.get("key_ops", ["verify"])
    return (
        all(key.get(name) in allowed for name, allowed in KINDS[algorithm].items())
        and key.get("alg", algorithm) == algorithm
        and key.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
    )
