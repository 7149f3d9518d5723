"""An operator's own payments: requests that Stripe's library signs become plans in the sidecar."""

import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import permutations
from typing import Any

import httpx
import pytest
import stripe

from sidecar.examples.stripe_webhook import MOST_BYTES, Setup, create_app, setup_from
from tests.in_process import application
from tests.processes import ROOT

SECRET = "whsec_a-secret-of-this-test"
NOW = 1_793_000_000  # in October 2026
PLANS = {"price_pro": "pro", "free_each_month": "free"}


def subscription(**other: object) -> dict[str, object]:
    item = {
        "price": {"id": "price_pro", "lookup_key": None, "recurring": {"interval": "month"}},
        "current_period_start": NOW,
        "current_period_end": NOW + 30 * 86_400,
    }
    return {
        "id": "sub_1", "object": "subscription", "status": "active", "trial_end": None,
        "cancel_at_period_end": False, "items": {"data": [item]},
        "metadata": {"user_id": "ann", "app_id": "acme"},
    } | other  # fmt: skip


def event(kind: str, of: dict[str, object], *, name: str = "evt_1", created: int = NOW) -> str:
    whole = kind if "." in kind else f"customer.subscription.{kind}"
    return json.dumps({"id": name, "type": whole, "created": created, "data": {"object": of}})


@asynccontextmanager
async def shop(
    setup: Setup | None = None, *, internal_api_keys: str = ""
) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """The webhook, and the sidecar that it tells."""
    async with application(internal_api_keys=internal_api_keys) as sidecar:
        transport = sidecar._transport
        app = create_app(setup or Setup(SECRET, PLANS, "http://localhost"), transport)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hook") as hook,
        ):
            yield hook, sidecar


async def post(hook: httpx.AsyncClient, payload: str, secret: str = SECRET) -> httpx.Response:
    signature = stripe.WebhookSignature.generate_signature_header(payload, secret)
    return await hook.post("/stripe", content=payload, headers={"Stripe-Signature": signature})


async def state(sidecar: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await sidecar.get("/v1/subscriptions/acme/ann")).json()
    return found


async def test_a_bought_plan_holds_from_the_next_check_on() -> None:
    asked = {"app_id": "acme", "user_id": "ann", "plugin": "any_plugin"}
    async with shop() as (hook, sidecar):
        before = await sidecar.post("/v1/check", json=asked)
        told = await post(hook, event("created", subscription()))
        after = await sidecar.post("/v1/check", json=asked)
        stored = await state(sidecar)

    assert before.status_code == 402
    assert told.json() == {"status": "synced"}
    assert after.status_code == 200
    assert after.json()["plan"] == "pro"
    assert stored["stripe_subscription_id"] == "sub_1"
    assert stored["current_period_end"] == "2026-11-25T07:33:20Z"


async def test_an_older_form_of_the_period_and_a_lookup_key_are_understood() -> None:
    price = {"id": "price_x", "lookup_key": "free_each_month", "recurring": {"interval": "month"}}
    older = subscription(
        items={"data": [{"price": price}]}, current_period_start=NOW, current_period_end=NOW + 60
    )
    async with shop() as (hook, sidecar):
        await post(hook, event("created", older))
        stored = await state(sidecar)

    assert stored["plan"] == "free"
    assert stored["current_period_end"] == "2026-10-26T07:34:20Z"


def life() -> Sequence[str]:
    """Five events of one subscription; two pairs of them in the same second."""
    return [
        event("created", subscription(status="incomplete"), name="evt_1"),
        event("updated", subscription(status="active"), name="evt_2"),
        event("updated", subscription(status="past_due"), name="evt_3", created=NOW + 60),
        event("updated", subscription(cancel_at_period_end=True), name="evt_4", created=NOW + 90),
        event("deleted", subscription(status="canceled"), name="evt_5", created=NOW + 90),
    ]


async def test_in_every_order_and_each_twice_the_last_state_is_the_one_that_stays() -> None:
    states = set()
    for number, order in enumerate(permutations(life())):
        async with shop() as (hook, sidecar):
            for payload in (*order, order[number % 5]):
                assert (await post(hook, payload)).status_code == 200
            states.add(json.dumps(await state(sidecar), sort_keys=True))

    assert len(states) == 1
    assert json.loads(states.pop())["status"] == "canceled"


@pytest.mark.parametrize(
    "forge",
    [
        lambda payload: {},
        lambda payload: {"Stripe-Signature": "t=1,v1=00"},
        lambda payload: {"Stripe-Signature": "nonsense"},
        lambda payload: {
            "Stripe-Signature": stripe.WebhookSignature.generate_signature_header(
                payload, "whsec_x"
            )
        },
        lambda payload: {
            "Stripe-Signature": stripe.WebhookSignature.generate_signature_header(
                payload, SECRET, timestamp=1
            )
        },
    ],
    ids=["none", "a wrong one", "no signature at all", "with another secret", "an old one"],
)
async def test_what_stripe_did_not_sign_changes_nothing(forge: Any) -> None:
    payload = event("created", subscription())
    async with shop() as (hook, sidecar):
        answer = await hook.post("/stripe", content=payload, headers=forge(payload))
        stored = await state(sidecar)

    assert answer.status_code == 400
    assert stored["status"] == "none"


async def test_what_is_about_nobody_or_something_else_is_done_with() -> None:
    async with shop() as (hook, sidecar):
        invoice = await post(hook, event("invoice.paid", {"object": "invoice"}))
        nobody = await post(hook, event("created", subscription(metadata={})))
        stored = await state(sidecar)

    assert invoice.json() == {"ignored": "invoice.paid"}
    assert nobody.status_code == 200
    assert stored["status"] == "none"


async def test_what_can_be_mended_is_asked_for_again() -> None:
    """Stripe repeats whatever is not answered with a 2xx."""
    unknown = Setup(SECRET, {"price_other": "pro"}, "http://localhost")
    keyless = Setup(SECRET, PLANS, "http://localhost")
    async with shop(unknown) as (hook, _):
        lacks_plan = await post(hook, event("created", subscription()))
    async with shop(keyless, internal_api_keys="int-1") as (hook, _):
        lacks_key = await post(hook, event("created", subscription()))

    assert lacks_plan.status_code == 500
    assert lacks_plan.json() == {"error": "STRIPE_PLANS names no plan for the price price_pro"}
    assert lacks_key.status_code == 502


async def test_a_sidecar_that_is_away_is_tried_again_later() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    app = create_app(Setup(SECRET, PLANS), httpx.MockTransport(away))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hook") as hook,
    ):
        assert (await post(hook, event("created", subscription()))).status_code == 503


async def test_a_body_that_is_longer_than_any_of_stripes_is_not_read_to_its_end() -> None:
    read = 0

    async def without_end() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield bytes(MOST_BYTES // 4)

    async with shop() as (hook, _):
        answer = await hook.post("/stripe", content=without_end())

    assert answer.status_code == 400
    assert read < 10


def test_the_environment_says_it_all() -> None:
    setup = setup_from(
        {
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "STRIPE_PLANS": "price_a=pro, price_b=team",
            "INTERNAL_API_KEY": "new, old",
            "SIDECAR_URL": "http://sidecar:8377/",
        }
    )

    assert setup == Setup(
        SECRET, {"price_a": "pro", "price_b": "team"}, "http://sidecar:8377", "new"
    )
    assert SECRET not in repr(setup)
    assert "new" not in repr(setup)


def test_the_readme_sets_what_the_program_reads() -> None:
    block = (
        (ROOT / "README.md").read_text().split("```sh\npip install 'mozaiks-sidecar[stripe]'")[1]
    )
    exported = re.findall(r"\b([A-Z_]+)=(\S+)", block.split("```")[0])

    setup = setup_from(dict(exported))

    assert setup.plans == {"price_1Abc": "pro", "price_1Def": "team"}
    assert setup.sidecar_key == "a-key-of-the-sidecar"
    assert len(exported) == 4


@pytest.mark.parametrize("plans", ["", "price_a", "price_a=", "=pro"])
def test_a_setup_that_lacks_something_says_what(plans: str) -> None:
    with pytest.raises(SystemExit, match="STRIPE_PLANS"):
        setup_from({"STRIPE_WEBHOOK_SECRET": SECRET, "STRIPE_PLANS": plans})
