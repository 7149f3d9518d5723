"""What a user's identity is told by is put together once, beside the requests of others."""

import asyncio

import pytest

from sidecar.adapters.clock import SystemClock
from sidecar.adapters.identity.known import KnownIdentities
from sidecar.adapters.identity.portal_tokens import PortalTokens
from sidecar.adapters.identity.signing_keys import signing_keys
from sidecar.bootstrap.identity import LateIdentities
from sidecar.domain.request import Subject
from sidecar.ports import Identities

ANN = Subject("acme", "ann", "t-1")


def whole() -> Identities:
    keys = signing_keys(["s" * 32], [])
    return KnownIdentities(PortalTokens(keys, SystemClock()), None)


async def test_it_is_put_together_once_by_all_who_come_first() -> None:
    built = 0

    def build() -> Identities:
        nonlocal built
        built += 1
        return whole()

    late = LateIdentities(build)
    tokens = await asyncio.gather(*(late.issue(ANN, 60) for _ in range(10)))

    assert built == 1
    assert await late.subject_of(tokens[0].text) == ANN


async def test_it_is_tried_again_where_it_failed() -> None:
    given = iter([MemoryError("no room for a moment")])

    def build() -> Identities:
        for error in given:
            raise error
        return whole()

    late = LateIdentities(build)
    with pytest.raises(MemoryError):
        await late.issue(ANN, 60)

    assert (await late.issue(ANN, 60)).text


def test_the_same_secrets_make_the_same_keys_and_others_make_others() -> None:
    one, same, behind = (signing_keys([], given) for given in (["a"], ["a"], ["b", "a"]))

    assert one == same
    assert behind.first != one.first
    assert behind.known[one.first] == one.known[one.first]
    assert signing_keys(["a" * 32], []).first not in signing_keys([], ["a" * 32]).known
    assert all("a" * 32 not in repr(each) for each in (one, signing_keys(["a" * 32], [])))
