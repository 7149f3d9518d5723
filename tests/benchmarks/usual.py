"""What one would write oneself: FastAPI, cel-python, and the library `limits` on Redis.

The same rules out of the same file, compiled once; three limits of each user; what a commit says
beyond the estimate is counted on top. There is no holding and giving back, no repeat, no report:
none of these libraries has that.
"""

import os
import secrets
from collections.abc import Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, Final

import celpy
import yaml
from celpy.adapter import json_to_cel
from celpy.celtypes import TimestampType
from fastapi import FastAPI, HTTPException
from limits import (
    RateLimitItem,
    RateLimitItemPerHour,
    RateLimitItemPerMinute,
    RateLimitItemPerMonth,
)
from limits.aio.storage import RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter
from pydantic import BaseModel

from tests.benchmarks.load import POLICIES, USERS, subscriptions

_POLICY: Final[Mapping[str, Any]] = yaml.safe_load((POLICIES / "policy.yaml").read_text())
_SUBSCRIPTIONS: Final = {(state["appId"], state["userId"]): state for state in subscriptions(USERS)}


class Estimate(BaseModel):
    """Tokens that a request may use."""

    input_tokens: int = 0
    output_tokens: int = 0


class Check(BaseModel):
    """What is asked."""

    app_id: str
    user_id: str
    tenant_id: str = ""
    plugin: str = ""
    feature: str = ""
    action: str = ""
    workflow: str = ""
    agent: str = ""
    model: str = ""
    estimate: Estimate = Estimate()
    attributes: dict[str, Any] = {}
    reserve: bool = False


class Commit(BaseModel):
    """What was used."""

    input_tokens: int = 0
    output_tokens: int = 0
    model: str = ""


class Rule:
    """A rule of the file, compiled."""

    def __init__(self, environment: celpy.Environment, told: Mapping[str, Any]) -> None:
        self.id: str = told["id"]
        self.is_refusing = told["effect"] == "deny"
        match = told.get("match", {})
        self._plans: list[str] = match.get("plans", ["*"])
        self._plugins: list[str] = match.get("plugins", ["*"])
        self._program = environment.program(environment.compile(told["when"].strip()))

    def holds(self, plan: str, plugin: str, context: Any) -> bool:
        """Whether it is true of a request."""
        if not _is_among(plan, self._plans) or not _is_among(plugin, self._plugins):
            return False
        return bool(self._program.evaluate(context))


class Counters:
    """Three limits of each plan's users."""

    def __init__(self, address: str) -> None:
        self._storage = RedisStorage(f"async+{address}", implementation="redispy")
        self._fixed = FixedWindowRateLimiter(self._storage)
        self._sliding = SlidingWindowCounterRateLimiter(self._storage)
        self._items: dict[str, tuple[RateLimitItem, RateLimitItem, RateLimitItem]] = {}
        for name, plan in _POLICY["plans"].items():
            burst, hourly = (limit["max"] for limit in plan["limits"])
            month = RateLimitItemPerMonth(plan["tokens_per_month"])
            self._items[name] = month, RateLimitItemPerMinute(burst), RateLimitItemPerHour(hourly)

    async def take(self, plan: str, app: str, user: str, tokens: int, requests: int) -> bool:
        """Count what is asked for, if there is room in all of them."""
        month, minute, hour = self._items[plan]
        return (
            await self._fixed.hit(month, app, user, "tokens", cost=tokens)
            and await self._sliding.hit(minute, app, user, "tokens", cost=tokens)
            and (not requests or await self._sliding.hit(hour, app, user, "requests"))
        )


def _is_among(name: str, globs: list[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _plugins(plan: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    told = plan["plugins"]
    return (told, []) if isinstance(told, list) else (told["allow"], told["deny"])


@asynccontextmanager
async def _lifespan(app: FastAPI) -> Any:
    environment = celpy.Environment()
    app.state.rules = [Rule(environment, told) for told in _POLICY["rules"]]
    app.state.constants = json_to_cel(_POLICY["constants"])
    app.state.counters = Counters(os.environ["REDIS"])
    app.state.held = {}
    yield


app = FastAPI(lifespan=_lifespan)


@app.get("/readyz")
async def who() -> dict[str, str]:
    """Tell who this is."""
    return {"server": "usual"}


@app.post("/v1/check")
async def check(body: Check) -> dict[str, Any]:
    """Decide."""
    state = app.state
    plan = _SUBSCRIPTIONS.get((body.app_id, body.user_id), {"plan": "free", "status": "none"})
    name = plan["plan"]
    allow, deny = _plugins(_POLICY["plans"][name])
    if not _is_among(body.plugin, allow) or _is_among(body.plugin, deny):
        raise HTTPException(402, "the plan does not include this plugin")
    tokens = body.estimate.input_tokens + body.estimate.output_tokens
    request = body.model_dump() | {"estimated_tokens": tokens}
    context: Any = json_to_cel(
        {"request": request, "subscription": {"status": plan["status"]}, "plan": {"id": name}}
    )
    context |= {"constants": state.constants, "now": TimestampType(datetime.now(UTC))}
    warnings = []
    for rule in state.rules:
        if rule.holds(name, body.plugin, context):
            if rule.is_refusing:
                raise HTTPException(402, rule.id)
            warnings.append(rule.id)
    if not await state.counters.take(name, body.app_id, body.user_id, tokens, 1):
        raise HTTPException(429, "a limit is reached")
    held = f"res_{secrets.token_urlsafe(18)}"
    state.held[held] = name, body.app_id, body.user_id, tokens
    return {
        "decision_id": f"dec_{secrets.token_urlsafe(16)}",
        "effect": "warn" if warnings else "allow",
        "reasons": warnings,
        "reservation": {"id": held},
    }


@app.post("/v1/reservations/{held}/commit")
async def commit(held: str, body: Commit) -> dict[str, Any]:
    """Count what was used beyond the estimate."""
    found = app.state.held.pop(held, None)
    if found is None:
        raise HTTPException(404, "unknown")
    plan, app_id, user_id, estimated = found
    beyond = body.input_tokens + body.output_tokens - estimated
    if beyond > 0:
        await app.state.counters.take(plan, app_id, user_id, beyond, 0)
    return {"reservation": {"id": held, "state": "committed"}}
