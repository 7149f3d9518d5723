"""When are an identity provider's keys asked for, and what if it is away or has changed them?"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sidecar.adapters.identity.key_set import KeySet, Patience
from sidecar.adapters.web import Web
from sidecar.errors import IdentityRefused, IdentityUnavailable
from tests.in_process import application
from tests.issuing import IdentityProvider, identity_provider, public_jwk, token
from tests.listening import until


class Hours:
    """A clock that is told how late it is."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, *, seconds: float) -> None:
        self.now += seconds


@asynccontextmanager
async def key_set(*names: str) -> AsyncIterator[tuple[KeySet, IdentityProvider, Hours]]:
    clock = Hours()
    async with identity_provider(*names) as provider, Web() as web:
        yield KeySet(web, f"{provider.url}/jwks.json", Patience(), clock), provider, clock


async def test_keys_are_asked_for_once_by_all_who_come_at_the_same_time() -> None:
    async with key_set() as (keys, provider, _):
        assert provider.asked == 0
        found = await asyncio.gather(*(keys.key_for("RS256", "rsa-1") for _ in range(20)))
        await keys.key_for("RS256", "rsa-1")

    assert provider.asked == 1
    assert {key.algorithm_name for key in found} == {"RS256"}


async def test_a_new_key_is_found_when_the_first_token_of_it_comes() -> None:
    async with key_set() as (keys, provider, clock):
        await keys.key_for("RS256", "rsa-1")
        clock.advance(seconds=11)
        provider.keys = [public_jwk("rsa-1"), public_jwk("rsa-2")]
        assert (await keys.key_for("RS256", "rsa-2")).algorithm_name == "RS256"

    assert provider.asked == 2


async def test_tokens_of_keys_that_nobody_has_do_not_make_the_sidecar_ask_and_ask() -> None:
    async with key_set() as (keys, provider, clock):
        for number in range(50):
            with pytest.raises(IdentityRefused, match="not in the key set"):
                await keys.key_for("RS256", f"made-up-{number}")
        assert provider.asked == 1
        clock.advance(seconds=11)
        with pytest.raises(IdentityRefused):
            await keys.key_for("RS256", "made-up")
        assert provider.asked == 2


async def test_a_key_that_is_taken_back_is_taken_no_more_after_a_while() -> None:
    async with key_set("rsa-1", "rsa-2") as (keys, provider, clock):
        await keys.key_for("RS256", "rsa-1")
        provider.keys = [public_jwk("rsa-2")]
        clock.advance(seconds=301)
        # Whoever comes first does not wait for the question that is asked because of him.
        await keys.key_for("RS256", "rsa-1")
        await until(lambda: provider.asked == 2)
        await until(lambda: keys._asking is None)
        with pytest.raises(IdentityRefused):
            await keys.key_for("RS256", "rsa-1")


async def test_known_keys_are_good_for_a_day_while_nobody_answers() -> None:
    async with key_set() as (keys, provider, clock):
        await keys.key_for("RS256", "rsa-1")
        provider.status = 500
        for _ in range(5):
            clock.advance(seconds=3_600)
            assert (await keys.key_for("RS256", "rsa-1")).algorithm_name == "RS256"
            await until(lambda: keys._asking is None)
        clock.advance(seconds=20 * 3_600)
        with pytest.raises(IdentityUnavailable):
            await keys.key_for("RS256", "rsa-1")
        provider.status = 200
        clock.advance(seconds=11)
        assert (await keys.key_for("RS256", "rsa-1")).algorithm_name == "RS256"


@pytest.mark.parametrize("body", [None, [], {}, {"keys": {}}, {"keys": None}, "text"], ids=repr)
async def test_what_is_no_key_set_is_no_answer(body: object) -> None:
    async with key_set() as (keys, provider, _):
        provider.body = body
        with pytest.raises(IdentityUnavailable):
            await keys.key_for("RS256", "rsa-1")


@pytest.mark.parametrize(
    "more",
    [
        {"n": "!!"}, {"n": 5}, {"e": ""}, {"kty": ["RSA"]}, {"use": "enc"}, {"alg": "RS512"},
        {"key_ops": ["sign"]}, {"key_ops": "verify"}, {"kty": "oct", "k": "AAAA"}, {"kid": 7},
    ],
    ids=repr,
)  # fmt: skip
async def test_a_key_that_is_for_something_else_or_none_is_passed_over(
    more: dict[str, object],
) -> None:
    async with key_set() as (keys, provider, _):
        provider.keys = [public_jwk("rsa-1") | more, public_jwk("rsa-2")]
        with pytest.raises(IdentityRefused):
            await keys.key_for("RS256", "rsa-1")
        assert (await keys.key_for("RS256", "rsa-2")).algorithm_name == "RS256"


async def test_a_token_without_the_name_of_a_key_is_judged_by_the_only_one_there_is() -> None:
    async with key_set("rsa-1", "ec-1") as (keys, provider, clock):
        assert (await keys.key_for("RS256", None)).algorithm_name == "RS256"
        provider.keys.append(public_jwk("rsa-2"))
        clock.advance(seconds=301)
        await keys.key_for("RS256", "rsa-1")
        await until(lambda: keys._asking is None)
        with pytest.raises(IdentityRefused):
            await keys.key_for("RS256", None)


async def test_users_are_told_to_come_again_while_no_key_is_known() -> None:
    async with identity_provider() as provider:
        provider.status = 503
        async with application(**provider.settings) as client:
            brought = {"Authorization": f"Bearer {token()}"}
            answer = await client.get("/v1/me/usage", headers=brought)
            given = await client.post("/v1/portal-tokens", json={"app_id": "a", "user_id": "u"})
            portal = {"Authorization": f"Bearer {given.json()['token']}"}
            others = await client.get("/v1/me/usage", headers=portal)
            told = (await client.get("/v1/status")).json()["parts"]["identity_provider"]

    assert answer.status_code == 503
    assert answer.json()["type"].endswith(":identity_unavailable")
    assert answer.headers["retry-after"] == "10"
    assert others.status_code == 200
    assert (told["state"], told["facts"]) == ("degraded", {"keys": 0})
    assert told["note"] == "its keys cannot be had: it answered 503, and no key set"
