"""A function that is entitled runs only for those who may."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from sidecar.client import (
    AsyncEntitlements,
    Entitlements,
    PaymentRequired,
    acting_for,
    entitled,
)
from tests.client.conftest import used
from tests.documents import texts_of
from tests.processes import ROOT, Sidecar


@pytest.fixture
def client(sidecar: Sidecar) -> Iterator[Entitlements]:
    with Entitlements(sidecar.url, key="runtime-key", app_id="acme") as made:
        yield made


def test_it_runs_for_whom_the_plan_lets_and_holds_its_estimate(
    client: Entitlements, sidecar: Sidecar, user: str
) -> None:
    @entitled(client, plugin="basic_search", output_tokens=40)
    def search(words: str) -> tuple[str, tuple[int, int]]:
        return words.upper(), used(sidecar, user)

    with acting_for(user):
        assert search("cats") == ("CATS", (0, 40))

    assert used(sidecar, user) == (40, 0)


def test_it_does_not_run_for_others(client: Entitlements, user: str) -> None:
    @entitled(client, plugin="admin_all")
    def wipe() -> None:
        raise AssertionError("it ran")

    with acting_for(user), pytest.raises(PaymentRequired, match="upgrade to pro"):
        wipe()


def test_it_asks_for_the_user_who_is_acted_for_innermost(client: Entitlements) -> None:
    @entitled(client, plugin="basic_search")
    def search() -> None: ...

    with pytest.raises(LookupError, match="acting_for"):
        search()
    with acting_for("outer"), acting_for("inner", app_id="elsewhere"):
        search()


async def test_a_coroutine_function_is_guarded_alike(sidecar: Sidecar, user: str) -> None:
    async with AsyncEntitlements(sidecar.url, key="runtime-key", app_id="acme") as client:

        @entitled(client, plugin="basic_search", output_tokens=5)
        async def search(words: str) -> str:
            await asyncio.sleep(0)
            return words.upper()

        @entitled(client, plugin="admin_all")
        async def wipe() -> None:
            raise AssertionError("it ran")

        with acting_for(user):
            assert await search("cats") == "CATS"
            with pytest.raises(PaymentRequired):
                await wipe()

    assert used(sidecar, user) == (5, 0)


def test_each_kind_of_function_has_its_kind_of_client(client: Entitlements) -> None:
    async def coroutine() -> None: ...

    def generator() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="AsyncEntitlements go with coroutine functions"):
        entitled(client)(coroutine)
    with pytest.raises(TypeError, match="use `reserve` within it"):
        entitled(client)(generator)


async def test_the_example_of_the_readme_answers_and_is_charged(
    sidecar: Sidecar, user: str
) -> None:
    (example,) = texts_of((ROOT / "README.md").read_text(), "python")
    names: dict[str, Any] = {}
    exec(example, names)
    names["entitlements"].__init__(sidecar.url, key="runtime-key", app_id="acme")

    async with names["entitlements"]:
        assert await names["chat"](user, "cats") == "three pages about cats"
        assert used(sidecar, user) == (44, 0)
        async with names["entitlements"].reserve(user, output_tokens=956):
            refused = await names["chat"](user, "cats")

    assert "upgrade to pro" in refused
