"""Tokens that are forged, over, for others or from others: more than 200 tries, none gets in."""

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from sidecar.adapters.identity.signing_keys import signing_keys
from tests.in_process import application
from tests.issuing import (
    AUDIENCE,
    ISSUER,
    by_hand,
    claims,
    identity_provider,
    part,
    public_bytes,
    public_jwk,
    token,
)

SECRET = "a-portal-secret-of-enough-characters"
KEYS: dict[str, Any] = {
    "sidecar_runtime_keys": "run-1", "internal_api_keys": "int-1", "sidecar_read_keys": "read-1",
    "sidecar_portal_secret": SECRET,
}  # fmt: skip
PATHS = ("/v1/me/usage", "/v1/me/entitlements", "/portal/view")
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@dataclass(frozen=True)
class Try:
    """One request that should not show anybody anything."""

    what: str
    token: str
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)

    @property
    def sent(self) -> dict[bytes, bytes]:
        """Its headers; a token may be no text that a header usually has."""
        brought = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return {name.encode(): each.encode() for name, each in (brought | self.headers).items()}


def altered(what: str, good: str) -> Iterator[Try]:
    """A good token with something else in one place."""
    for place, name in enumerate(("header", "claims", "signature")):
        parts = good.split(".")
        length = len(parts[place])
        for at in sorted({0, 1, length // 3, length // 2, length - 2, length - 1}):
            for flipped in (1, 2, 32):
                # The lowest bits of a last character may stand for nothing: they count too.
                other = _ALPHABET[_ALPHABET.index(parts[place][at]) ^ flipped]
                changed = parts[place][:at] + other + parts[place][at + 1 :]
                whole = ".".join([*parts[:place], changed, *parts[place + 1 :]])
                yield Try(f"{what}: bit {flipped} of character {at} of the {name}", whole)
    for length in range(0, len(good), max(1, len(good) // 12)):
        if length:
            yield Try(f"{what}: its first {length} characters", good[:length])
    header, body, signature = good.split(".")
    odd = {
        "no signature": f"{header}.{body}.", "nor a dot": f"{header}.{body}",
        "a fourth part": f"{good}.{signature}", "twice": good + good,
        "parts in another order": f"{body}.{header}.{signature}",
        "padded": f"{good}=", "more padded": f"{header}=.{body}=.{signature}==",
        "a space inside": f"{header}. {body}.{signature}", "a line inside": f"{header}.\t{body}",
        "with a comma": f"{good},{good}", "percent-encoded": good.replace(".", "%2E"),
        "other alphabet": f"{header}.{body}.+/{signature[2:]}", "a letter behind": f"{good}A",
        "a sign inside": f"{header}.{body}!.{signature}",
        "not ASCII": f"{header}.{body}é.{signature}",
        "letters that look alike": good.replace("a", "а", 1), "a face": f"💡.{good}",
        "no header": f".{body}.{signature}", "dots": "..", "huge": f"{good}{'A' * 9_000}",
        "a huge claim": f"{header}.{'A' * 30_000}.{signature}",
    }  # fmt: skip
    for name, each in odd.items():
        yield Try(f"{what}: {name}", each)


def of_the_portal(**other: object) -> dict[str, Any]:
    """What a good portal token says."""
    now = int(time.time())
    told: dict[str, object] = {
        "aud": "urn:mozaiks:sidecar:portal:v1", "app": "acme", "sub": "ann",
        "iat": now, "exp": now + 600,
    }  # fmt: skip
    return {name: each for name, each in (told | other).items() if each is not None}


def portal(
    secret: bytes | None = None, header: dict[str, object] | None = None, **other: object
) -> str:
    """A portal token by whoever knows the key, if no other is given."""
    keys = signing_keys([SECRET], [])
    told = {"alg": "HS256", "kid": keys.first, "typ": "portal+jwt"} | (header or {})
    return by_hand(told, of_the_portal(**other), secret or keys.known[keys.first])


def forged() -> Iterator[Try]:
    """Signed by nobody, by somebody else, or with what everybody can read."""
    pem, der = public_bytes("rsa-1")
    kid = signing_keys([SECRET], []).first
    for name in ("none", "None", "NONE", "nOnE", "", None, 0, ["HS256"], {"a": 1}):
        for header in ({"typ": "portal+jwt", "kid": kid}, {"typ": "JWT", "kid": "rsa-1"}):
            unsigned = by_hand({"alg": name} | header, of_the_portal() | claims())
            yield Try(f"alg {name!r}, {header['typ']}", unsigned)
            yield Try(f"alg {name!r}, {header['typ']}, signed", f"{unsigned}{part(b'x' * 32)}")
    for digest, algorithm in (("sha256", "HS256"), ("sha384", "HS384"), ("sha512", "HS512")):
        for what, secret in (("PEM", pem), ("DER", der), ("n", public_jwk("rsa-1")["n"].encode())):
            header = {"alg": algorithm, "kid": "rsa-1"}
            made = by_hand(header, claims(), secret, digest)
            yield Try(f"{algorithm} with the public key's {what}", made)
            made = by_hand(
                header | {"typ": "portal+jwt", "kid": kid}, of_the_portal(), secret, digest
            )
            yield Try(f"{algorithm} with the public key's {what} as a portal token", made)
    for what, secret in (
        ("the secret itself", SECRET.encode()), ("nothing", b"\0"), ("a runtime key", b"run-1"),
        ("what is made of a runtime key", next(iter(signing_keys([], ["run-1"]).known.values()))),
        ("another secret", next(iter(signing_keys(["b" * 32], []).known.values()))),
    ):  # fmt: skip
        yield Try(f"a portal token signed with {what}", portal(secret))
    other = token("rsa-2", headers={"kid": "rsa-1"})
    yield Try("another key under a known name", other)
    mine = public_jwk("rsa-2", kid="rsa-1")
    for name, value in (
        ("jwk", mine), ("jku", "https://evil.example/jwks.json"), ("x5u", "https://evil.example/c"),
        ("x5c", ["MIIB"]), ("crit", ["app"]), ("b64", False), ("zip", "DEF"),
    ):  # fmt: skip
        yield Try(
            f"another key, and {name} in the header",
            token("rsa-2", headers={"kid": "rsa-1", name: value}),
        )
    for kid_ in ("rsa-2", "", "../../rsa-1", "RSA-1", "rsa-1\0", "' or 1=1", "x" * 2_000):
        yield Try(f"a key called {kid_[:20]!r}", token("rsa-2", headers={"kid": kid_}))
    yield Try("no name of a key, where there are several", token(headers={"kid": None}))
    yield Try("a key that is too short", token("weak-1"))
    yield Try("a key for encryption", token("rsa-9"))
    yield Try("a key for RS256, used for PS256", token("rsa-8", "PS256"))
    yield Try(
        "a symmetric key of the key set",
        by_hand({"alg": "HS256", "kid": "oct-1"}, claims(), b"k" * 32),
    )
    for algorithm in ("RS384", "RS512", "PS384", "PS512"):
        yield Try(f"signed with {algorithm}", token("rsa-1", algorithm))
    yield Try("an EC key for RS256", by_hand({"alg": "RS256", "kid": "ec-1"}, claims(), b"x" * 64))


def over_or_for_others() -> Iterator[Try]:
    """Well signed, but not for here and now, or not for anybody."""
    now = int(time.time())
    times: dict[str, dict[str, Any]] = {
        "over": {"iat": now - 700, "exp": now - 40}, "long over": {"exp": 1},
        "not yet": {"nbf": now + 120}, "from the future": {"iat": now + 300, "exp": now + 900},
        "no end": {"exp": None}, "an end that is text": {"exp": "soon"},
        "an end that is no number": {"exp": [now + 600]}, "a negative end": {"exp": -now},
        "an audience beside": {"aud": "other"}, "no audience": {"aud": None},
        "audiences beside": {"aud": ["a", "b"]}, "an audience that is none": {"aud": {"a": 1}},
        "no user": {"sub": None}, "an empty user": {"sub": ""},
        "a user that is a number": {"sub": 7},
        "a user that is a list": {"sub": ["ann"]}, "a long user": {"sub": "u" * 257},
        "a user that is null and true": {"sub": True},
    }  # fmt: skip
    for what, other in times.items():
        yield Try(f"a portal token: {what}", portal(**other))
        yield Try(f"the app's: {what}", token(**other))
    of_the_portals: dict[str, dict[str, Any]] = {
        "for longer than any": {"exp": now + 7_200}, "no app": {"app": None},
        "an empty app": {"app": ""},
        "an app that is a list": {"app": ["acme"]}, "no beginning": {"iat": None},
        "another version": {"aud": "urn:mozaiks:sidecar:portal:v2"},
        "for the app": {"aud": AUDIENCE},
        "a tenant that is a number": {"ten": 5},
    }  # fmt: skip
    for what, of in of_the_portals.items():
        yield Try(f"a portal token: {what}", portal(**of))
    of_the_apps: dict[str, dict[str, Any]] = {
        "another issuer": {"iss": "https://login.other.example"}, "no issuer": {"iss": None},
        "an issuer with a slash": {"iss": ISSUER + "/"}, "issuers": {"iss": [ISSUER]},
        "no app": {"app_id": None}, "an app that is a number": {"app_id": 1},
        "an app under the portal's name": {"app_id": None, "app": "acme"},
        "for the portal": {"aud": "urn:mozaiks:sidecar:portal:v1"},
    }  # fmt: skip
    for what, of in of_the_apps.items():
        yield Try(f"the app's: {what}", token(**of))
    yield Try("the app's that calls itself a portal token", token(headers={"typ": "portal+jwt"}))
    yield Try("a portal token that calls itself the app's", portal(header={"typ": "JWT"}))
    for value in ([], "text", 5, None, [claims()]):
        keys = signing_keys([SECRET], [])
        header = {"alg": "HS256", "kid": keys.first, "typ": "portal+jwt"}
        yield Try(f"claims that are {value!r:.20}", by_hand(header, value, keys.known[keys.first]))
        yield Try(f"a header that is {value!r:.20}", by_hand(value, of_the_portal(), b"k"))


def in_other_ways(good: str) -> Iterator[Try]:
    """A good token where none is looked for, and a good one that is asked for somebody else."""
    for scheme in ("Basic", "Token", "JWT", "bearer2", ""):
        yield Try(f"behind {scheme!r}", "", {"Authorization": f"{scheme} {good}".strip()})
    for header in ("X-Internal-API-Key", "Cookie", "X-Portal-Token", "Proxy-Authorization"):
        yield Try(f"in {header}", "", {header: f"token={good}" if header == "Cookie" else good})
    for name in ("token", "access_token", "jwt"):
        yield Try(f"as ?{name}", "", query={name: good})
    for name in ("user_id", "app_id", "tenant_id", "userId", "user", "sub", "app"):
        yield Try(f"a good one, and ?{name} of somebody else", good, query={name: "bob"})
    for key in ("run-1", "int-1", "read-1"):
        yield Try("a key", key)
        yield Try("a key beside a good one", good, {"X-Internal-API-Key": key})


@pytest.fixture
async def tried() -> AsyncIterator[httpx.AsyncClient]:
    """Where Ann has used something, and Bob more."""
    async with identity_provider("rsa-1", "ec-1", "weak-1") as provider:
        provider.keys += [
            public_jwk("rsa-9", use="enc"), public_jwk("rsa-8", alg="RS256"),
            {"kty": "oct", "kid": "oct-1", "k": part(b"k" * 32), "alg": "HS256"},
        ]  # fmt: skip
        async with application(**KEYS, **provider.settings) as client:
            for user, tokens in (("ann", 111), ("bob", 5_555)):
                event = {"app_id": "acme", "user_id": user, "total_tokens": tokens}
                runtime = {"Authorization": "Bearer run-1"}
                await client.post("/v1/usage", json=event, headers=runtime)
            yield client


async def test_more_than_200_tries_are_all_refused(tried: httpx.AsyncClient) -> None:
    good, own = portal(), token()
    tries = [
        *altered("a portal token", good), *altered("the app's", own), *forged(),
        *over_or_for_others(), *in_other_ways(good),
    ]  # fmt: skip
    got_in, told = [], []
    for each in tries:
        for path in PATHS:
            answer = await tried.get(path, params=each.query, headers=each.sent)
            if answer.status_code not in (401, 403, 422):
                got_in.append((each.what, path, answer.status_code))
            # Not even what is refused tells what anybody used.
            if "111" in answer.text or "5555" in answer.text:
                told.append((each.what, path))

    assert len(tries) >= 200
    assert len({each.what for each in tries if each.token}) >= 200
    assert got_in == []
    assert told == []
    for brought in (good, own):
        for path in PATHS:
            headers = {"Authorization": f"Bearer {brought}"}
            answer = await tried.get(path, headers=headers)
            assert answer.status_code == 200, answer.text
            assert "5555" not in answer.text
    usage = await tried.get("/v1/me/usage", headers={"Authorization": f"Bearer {good}"})
    assert usage.json()["totals"]["total_tokens"] == 111


async def test_a_token_that_is_over_is_told_to_be_over_and_others_no_more_than_that(
    tried: httpx.AsyncClient,
) -> None:
    over = {"Authorization": f"Bearer {portal(iat=1, exp=2)}"}
    forged_ = {"Authorization": f"Bearer {portal(b'another')}"}

    assert "has expired" in (await tried.get("/v1/me/usage", headers=over)).json()["detail"]
    assert (
        "not signed by anybody"
        in (await tried.get("/v1/me/usage", headers=forged_)).json()["detail"]
    )
