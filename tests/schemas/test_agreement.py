"""Does an editor ever underline what loads?

A file that is right is edited at one place, in every way that people and accidents do; where the
loader still takes it, the schema has to take it too.
"""

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from pydantic import ValidationError

from sidecar.domain.modes import Ceiling
from sidecar.policy.diagnostics import InvalidPolicies, InvalidPrices
from sidecar.policy.json_schema import Kind
from sidecar.policy.load import load
from sidecar.policy.price_file import prices_of
from sidecar.policy.testing.format import SuiteFile
from tests.schemas.test_schemas import faults

POLICY: Mapping[str, Any] = {
    "apiVersion": "sidecar/v1",
    "kind": "Policy",
    "metadata": {"name": "seed", "owner": "nobody"},
    "mode": "enforce",
    "defaults": {"plan": "free", "failure_mode": "closed"},
    "subscription": {
        "active": ["active", "trialing"],
        "grace": {"past_due": "3d"},
        "trial": {"plan": "free", "days": 14},
    },
    "constants": {"soft": 0.8, "staff": ["ann", 5, True]},
    "variables": [{"name": "big", "expr": "request.estimated_tokens > 50000"}],
    "plans": {
        "free": {
            "name": "Free",
            "plugins": {"allow": ["*"], "deny": ["admin_*"]},
            "features": {"code": False},
            "tokens_per_month": 10000,
            "limits": [
                {"id": "burst", "meter": "tokens", "max": 2000, "window": "1m", "warn_at": 0.8},
                {"id": "runs", "meter": "concurrency", "max": 2, "status": 429},
            ],
        },
        "pro": {"extends": "free", "tokens_per_month": None},
    },
    "rules": [
        {"id": "r", "when": "vars.big", "effect": "deny", "on_error": "skip", "message": "No."}
    ],
    "overrides": [
        {"id": "o", "for": {"apps": ["acme"]}, "limit": "burst", "max": 5,
         "until": "2026-12-31T00:00:00Z", "reason": "launch"}
    ],
}  # fmt: skip
TESTS: Mapping[str, Any] = {
    "apiVersion": "sidecar/v1",
    "kind": "PolicyTest",
    "policies": ["policy.yaml"],
    "prices": "prices/models.yaml",
    "now": "2026-05-05T21:30:00Z",
    "users": {
        "ann": {"app_id": "acme", "subscription": {"plan": "pro", "status": "active"}},
        "bob": {"app_id": "acme", "subscription": "unavailable", "used": {"burst": 5}},
    },
    "requests": {"search": {"plugin": "search", "estimated_tokens": [5, 50]}},
    "tests": [
        {
            "name": "one",
            "skip": "later",
            "given": {"users": ["ann"], "used": {"burst": 1}, "now": "2026-05-05T00:00:00Z"},
            "check": {
                "requests": ["search"],
                "model": ["a", "b"],
                "estimate": {"input_tokens": 5},
                "attributes": {"x": [1, {"y": None}]},
            },
            "expect": {
                "effect": "deny",
                "status": 402,
                "codes": ["quota_exceeded"],
                "remedies": ["upgrade"],
                "limits": {"burst": {"remaining": 5}},
                "errors": 0,
            },
        }
    ],
}
PRICES: Mapping[str, Any] = {
    "apiVersion": "sidecar/v1",
    "kind": "Prices",
    "currency": "USD",
    "models": {"gpt-4o": {"input": 2.5, "output": "10.00"}, "a*": {"input": 1, "output": 0}},
    "aliases": {"other": "gpt-4o"},
    "default": {"input": 5, "output": 15},
}
WORDS = [
    "enforce", "off", "free", "1m", "3d", "day", "lifetime", "tokens", "concurrency", "deny",
    "warn", "active", "none", "*", "a*", "burst", "true", "big", "unavailable", "EUR", "2.50",
    "2026-05-05", "2026-05-05T21:30:00+02:00", "2026-05-05 21:30Z", "upgrade", "quota_exceeded",
]  # fmt: skip
VALUES = some.one_of(
    some.none(), some.booleans(), some.integers(-1, 10), some.floats(0, 2), some.text(max_size=3),
    some.sampled_from(WORDS), some.sampled_from([402, 429, 503, 2**53, 1001, 1e-7]),
    some.sampled_from([[], {}, ["*"], [1], ["ann"], {"": 1}, {"a": "b"}]),
)  # fmt: skip


def policy_loads(edited: object) -> bool:
    with TemporaryDirectory() as folder:
        Path(folder, "policy.json").write_text(json.dumps(edited))
        try:
            load(Path(folder), ceiling=Ceiling.AS_WRITTEN)
        except InvalidPolicies:
            return False
    return True


def suite_is_read(edited: object) -> bool:
    try:
        SuiteFile.model_validate(edited)
    except ValidationError:
        return False
    return True


def prices_load(edited: object) -> bool:
    try:
        prices_of(Path("prices.json"), json.dumps(edited).encode())
    except InvalidPrices:
        return False
    return True


SEEDS: Mapping[Kind, tuple[Mapping[str, Any], Callable[[object], bool]]] = {
    Kind.POLICY: (POLICY, policy_loads),
    Kind.POLICY_TEST: (TESTS, suite_is_read),
    Kind.PRICES: (PRICES, prices_load),
}


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a file but the whole."""
    if isinstance(value, Mapping | list):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for step, each in items:
            yield (*path, step)
            yield from paths(each, (*path, step))


@pytest.mark.parametrize("kind", Kind)
def test_the_file_that_is_edited_is_right(kind: Kind) -> None:
    seed, loads = SEEDS[kind]
    assert loads(seed)
    assert faults(kind, seed) == []


@pytest.mark.parametrize("kind", Kind)
@settings(deadline=None, max_examples=250)
@given(some.data())
def test_what_an_edit_leaves_loading_an_editor_leaves_alone(
    kind: Kind, data: some.DataObject
) -> None:
    seed, loads = SEEDS[kind]
    edited = copy.deepcopy(dict(seed))
    path = data.draw(some.sampled_from(list(paths(seed))))
    inner: Any = edited
    for step in path[:-1]:
        inner = inner[step]
    match data.draw(some.sampled_from(["replace", "remove", "add"])):
        case "remove":
            del inner[path[-1]]
        case "add" if isinstance(inner[path[-1]], dict):
            inner[path[-1]][data.draw(some.sampled_from(WORDS))] = data.draw(VALUES)
        case _:
            inner[path[-1]] = data.draw(VALUES)
    if loads(edited):
        assert faults(kind, edited) == []
