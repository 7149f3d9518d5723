"""Bring your own payments: what Stripe says of a subscription becomes a plan in the sidecar.

A program of its own, beside the sidecar: the signing secret stays here, and the sidecar is told
nothing but who has which plan until when.

    pip install 'mozaiks-sidecar[stripe]'
    export STRIPE_WEBHOOK_SECRET=whsec_…            # of the endpoint, from Stripe's dashboard
    export STRIPE_PLANS=price_1Pro=pro,price_1Team=team
    export INTERNAL_API_KEY=…                       # the sidecar's
    python -m sidecar.examples.stripe_webhook       # POST http://127.0.0.1:8378/stripe

Whoever starts a checkout puts the user into the subscription, so that the webhook knows whom it
is about: `subscription_data={"metadata": {"user_id": "u_1", "app_id": "app_1"}}`.
"""

import json
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import stripe
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

MOST_BYTES: Final = 1 << 20
_SYNC: Final = "/api/internal/subscription/sync"
_SUBSCRIPTIONS: Final = "customer.subscription."
_RANKS: Final = {"created": 0, "deleted": 2}
"""Which of two events of one second is the later one; whatever else there is stands between."""

_log = logging.getLogger("stripe_webhook")


@dataclass(frozen=True, slots=True)
class Setup:
    """What the program must be told.

    Attributes:
        secret: that Stripe signs with.
        plans: by the id or the lookup key of a price.
        sidecar_url, sidecar_key: where states go, and the internal key that they go with.
    """

    secret: str = field(repr=False)
    plans: Mapping[str, str]
    sidecar_url: str = "http://127.0.0.1:8377"
    sidecar_key: str = field(default="", repr=False)


class UnknownPrice(Exception):
    """A price that no plan was named for."""


def setup_from(environment: Mapping[str, str]) -> Setup:
    """The setup that the environment describes.

    Raises:
        SystemExit: it lacks something; the message says what.
    """
    secret = environment.get("STRIPE_WEBHOOK_SECRET", "")
    pairs = [pair for pair in environment.get("STRIPE_PLANS", "").split(",") if pair.strip()]
    plans = {
        price.strip(): plan.strip() for price, _, plan in (pair.partition("=") for pair in pairs)
    }
    if not secret or not plans or not all((*plans, *plans.values())):
        raise SystemExit(
            "set STRIPE_WEBHOOK_SECRET=whsec_… and STRIPE_PLANS=price_…=plan,price_…=plan"
        )
    return Setup(
        secret,
        plans,
        environment.get("SIDECAR_URL", "http://127.0.0.1:8377").rstrip("/"),
        environment.get("INTERNAL_API_KEY", "").split(",")[0].strip(),
    )


def create_app(setup: Setup, transport: httpx.AsyncBaseTransport | None = None) -> Starlette:
    """The webhook's application; `transport` leads to the sidecar, by default over the network."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        headers = {"X-Internal-API-Key": setup.sidecar_key} if setup.sidecar_key else {}
        async with httpx.AsyncClient(
            base_url=setup.sidecar_url, headers=headers, timeout=10, transport=transport
        ) as sidecar:
            app.state.sidecar = sidecar
            yield

    async def receive(request: Request) -> Response:
        payload = await _body(request)
        signature = request.headers.get("stripe-signature", "")
        if payload is None or not _is_signed(payload, signature, setup.secret):
            return JSONResponse({"error": "not signed by Stripe"}, 400)
        event = json.loads(payload)
        try:
            state = state_of(event, setup.plans)
        except UnknownPrice as error:
            # Stripe tries again for days: time to name the plan.
            _log.error("%s: %s", event["id"], error)
            return JSONResponse({"error": str(error)}, 500)
        if state is None:
            return JSONResponse({"ignored": event["type"]})
        try:
            answer = await request.app.state.sidecar.post(_SYNC, json=state)
        except httpx.HTTPError as error:
            _log.warning("%s: the sidecar cannot be reached: %r", event["id"], error)
            return JSONResponse({"error": "the sidecar cannot be reached"}, 503)
        if answer.is_error:
            _log.error(
                "%s: the sidecar answered %s: %s", event["id"], answer.status_code, answer.text
            )
            return JSONResponse({"error": f"the sidecar answered {answer.status_code}"}, 502)
        return JSONResponse({"status": answer.json()["status"]})

    return Starlette(routes=[Route("/stripe", receive, methods=["POST"])], lifespan=lifespan)


def state_of(event: Mapping[str, Any], plans: Mapping[str, str]) -> dict[str, object] | None:
    """The subscription's state as the sidecar takes it, None for an event about something else.

    Stripe sends events in any order and any number of times. The event's id lets the sidecar
    know a repeat, and its time lets it leave an older state aside.

    Raises:
        UnknownPrice: no plan was named for what was bought.
    """
    subscription = event["data"]["object"]
    user_id = (subscription.get("metadata") or {}).get("user_id")
    if not event["type"].startswith(_SUBSCRIPTIONS) or subscription["object"] != "subscription":
        return None
    if not user_id:
        _log.warning("%s: the subscription has no user_id in its metadata", event["id"])
        return None
    item = subscription["items"]["data"][0]
    price = item["price"]
    plan = plans.get(price["id"]) or plans.get(price.get("lookup_key") or "")
    if plan is None:
        raise UnknownPrice(f"STRIPE_PLANS names no plan for the price {price['id']}")
    # Newer versions of Stripe's API keep the period with the item.
    start, end = (
        item.get(name) or subscription.get(name)
        for name in ("current_period_start", "current_period_end")
    )
    rank = _RANKS.get(event["type"].removeprefix(_SUBSCRIPTIONS), 1)
    return {
        "eventId": event["id"],
        "updatedAt": _written(event["created"], timedelta(milliseconds=rank)),
        "userId": user_id,
        "appId": subscription["metadata"].get("app_id"),
        "plan": plan,
        "status": subscription["status"],
        "billingCycle": (price.get("recurring") or {}).get("interval"),
        "currentPeriodStart": _written(start),
        "currentPeriodEnd": _written(end),
        "nextBillingDate": _written(end),
        "trialEndDate": _written(subscription.get("trial_end")),
        "cancelAtPeriodEnd": bool(subscription.get("cancel_at_period_end")),
        "stripeSubscriptionId": subscription["id"],
    }


def _written(seconds: int | None, further: timedelta = timedelta()) -> str | None:
    """Seconds since 1970 as ISO 8601."""
    if seconds is None:
        return None
    return (datetime.fromtimestamp(seconds, UTC) + further).isoformat()


async def _body(request: Request) -> bytes | None:
    """The body, None if it is longer than any that Stripe sends."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            return None
    return body


def _is_signed(payload: bytes, signature: str, secret: str) -> bool:
    """Whether Stripe signed exactly this, within the last five minutes."""
    try:
        stripe.WebhookSignature.verify_header(
            payload.decode(), signature, secret, stripe.Webhook.DEFAULT_TOLERANCE
        )
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    return True


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    uvicorn.run(create_app(setup_from(os.environ)), host="127.0.0.1", port=8378)
