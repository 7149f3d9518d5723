"""A million subjects on Redis: a few are asked about in earnest, and the others get the same."""

import time
from pathlib import Path
from typing import Final

import httpx

from tests.benchmarks.cores import cpu_s
from tests.benchmarks.load import (
    APPS,
    INTERNAL_KEY,
    PLANS,
    RUNS,
    RUNTIME_KEY,
    app_of,
    body_of,
    name_of,
    subscriptions,
    used_of,
)
from tests.benchmarks.observed import ObservedRedis

MODELS: Final = APPS * len(PLANS)
"""Users of whom each app has one of each plan; every other user is like one of them."""

_PATIENCE_S: Final = 60.0
_LOOK_S: Final = 0.3
_QUIET: Final = 0.15
"""Of a core: moving takes half of one."""
_FILL: Final = Path(__file__).with_name("fill.lua").read_text()


def push_subscriptions(client: httpx.Client, users: int) -> None:
    """Let the server know the plans of all of them, as a control plane would."""
    headers = {"X-Internal-API-Key": INTERNAL_KEY}
    for state in subscriptions(users):
        answer = client.post("/api/internal/subscription/sync", json=state, headers=headers)
        assert answer.json()["status"] in {"synced", "duplicate", "stale"}, answer.text


def ask_once(client: httpx.Client, user: int) -> None:
    """A check that holds, and the commit after it."""
    headers = {"Authorization": f"Bearer {RUNTIME_KEY}", "Content-Type": "application/json"}
    run = RUNS[user % len(RUNS)]
    checked = client.post("/v1/check", content=body_of(run, user), headers=headers)
    assert checked.json()["effect"] == "allow", checked.text
    name = checked.json()["reservation"]["id"]
    path = f"/v1/reservations/{name}/commit"
    committed = client.post(path, content=used_of(run), headers=headers)
    assert committed.status_code == 200, committed.text


def fill(client: httpx.Client, redis: ObservedRedis, users: int) -> float:
    """Let so many users have counters, reports and a subscription; bytes of Redis for each."""
    push_subscriptions(client, MODELS)
    for user in range(MODELS):
        ask_once(client, user)
    # A thousand models at most stand there; afterwards there are too many keys to look through.
    models = [_held(redis, model) for model in range(MODELS)]
    before, made = redis.used_memory, 0
    script = redis.ask("SCRIPT", "LOAD", _FILL)
    for model, keys in enumerate(models):
        further = model + MODELS, users - 1, MODELS
        made += int(redis.ask("EVALSHA", script, len(keys), *keys, name_of(model), *further))
    assert made == max(0, users - MODELS)
    _settle(redis)
    return (redis.used_memory - before) / max(1, made)


def _settle(redis: ObservedRedis) -> None:
    """Return when Redis has moved all keys to the table that it grew for them.

    By itself it does so in a minute or more, and meanwhile looks everything up in two tables.
    """
    process, deadline = redis.process, time.monotonic() + _PATIENCE_S
    usual = redis.ask("CONFIG", "GET", "hz")["hz"]
    redis.ask("CONFIG", "SET", "hz", 500)
    while True:
        before = cpu_s(process)
        time.sleep(_LOOK_S)
        if cpu_s(process) - before < _QUIET * _LOOK_S:
            break
        assert time.monotonic() < deadline, "Redis does not come to rest"
    redis.ask("CONFIG", "SET", "hz", usual)


def _held(redis: ObservedRedis, user: int) -> list[str]:
    """The keys that hold the name of a user, in their names or in a member."""
    own = [key for key in redis.keys(f"*:{{{app_of(user)}}}:*{name_of(user)}*") if ":r:" not in key]
    shared = redis.keys(f"*:{{{app_of(user)}}}:p*")
    return own + [key for key in shared if redis.ask("TYPE", key) == "zset"]
