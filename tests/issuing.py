"""An identity provider of an app, with real keys, and tokens that nobody should believe."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.listening import listening

ISSUER, AUDIENCE = "https://login.acme.example", "acme-web"

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@cache
def private_key(name: str) -> Private:
    """A key of the kind that its name begins with; the same for the same name."""
    match name.partition("-")[0]:
        case "rsa":
            return rsa.generate_private_key(65537, 2048)
        case "weak":
            return rsa.generate_private_key(65537, 1024)
        case "ec":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def public_jwk(name: str, **more: object) -> dict[str, Any]:
    """What the key set has of a key."""
    key = private_key(name).public_key()
    match key:
        case rsa.RSAPublicKey():
            told = RSAAlgorithm.to_jwk(key, as_dict=True)
        case ec.EllipticCurvePublicKey():
            told = ECAlgorithm.to_jwk(key, as_dict=True)
        case _:
            told = OKPAlgorithm.to_jwk(key, as_dict=True)
    return {**told, "kid": name, **more}


def public_bytes(name: str) -> tuple[bytes, bytes]:
    """The same, as whoever mixes up algorithms might use it for a secret."""
    key, whole = private_key(name).public_key(), serialization.PublicFormat.SubjectPublicKeyInfo
    return (
        key.public_bytes(serialization.Encoding.PEM, whole),
        key.public_bytes(serialization.Encoding.DER, whole),
    )


def claims(**other: object) -> dict[str, Any]:
    """What a good token says; a claim that is None is left out."""
    now = int(time.time())
    told: dict[str, object] = {
        "iss": ISSUER, "aud": AUDIENCE, "app_id": "acme", "sub": "ann",
        "iat": now, "exp": now + 600,
    }  # fmt: skip
    return {name: each for name, each in (told | other).items() if each is not None}


def token(
    name: str = "rsa-1",
    algorithm: str = "RS256",
    headers: Mapping[str, object] | None = None,
    **other: object,
) -> str:
    """A token that a key has signed, whatever its header and its claims are."""
    header = {"alg": algorithm, "kid": name} | dict(headers or {})
    told = {each: of for each, of in header.items() if of is not None}
    signed = f"{part(told)}.{part(claims(**other))}"
    how = jwt.get_algorithm_by_name(algorithm)
    return f"{signed}.{part(how.sign(signed.encode(), private_key(name)))}"


def part(value: object) -> str:
    """One part of a token that is made by hand."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def by_hand(header: object, payload: object, secret: bytes = b"", digest: str = "sha256") -> str:
    """A token with a MAC, of whatever header; no library would make it."""
    signed = f"{part(header)}.{part(payload)}"
    mac = hmac.new(secret, signed.encode(), getattr(hashlib, digest)).digest() if secret else b""
    return f"{signed}.{part(mac) if mac else ''}"


@dataclass
class IdentityProvider:
    """What it answers with, and how often it was asked.

    Attributes:
        body: in the place of its key set.
    """

    keys: list[dict[str, Any]] = field(default_factory=lambda: [public_jwk("rsa-1")])
    body: object = ...
    status: int = 200
    asked: int = 0
    url: str = ""

    async def answer(self, request: Request) -> Response:
        """Its key set."""
        self.asked += 1
        told = {"keys": self.keys} if self.body is ... else self.body
        return JSONResponse(told, self.status)

    @property
    def settings(self) -> dict[str, Any]:
        """A sidecar that believes it."""
        return {
            "sidecar_jwks_url": f"{self.url}/jwks.json",
            "sidecar_jwt_issuer": ISSUER,
            "sidecar_jwt_audience": AUDIENCE,
        }


@asynccontextmanager
async def identity_provider(*names: str) -> AsyncIterator[IdentityProvider]:
    """One that serves the public halves of these keys."""
    provider = IdentityProvider([public_jwk(name) for name in names or ("rsa-1",)])
    async with listening(Starlette(routes=[Route("/jwks.json", provider.answer)])) as url:
        provider.url = url
        yield provider
