"""Requests that were right, with one thing in them that is not, or not quite.

What is generated from nothing seldom gets past the first field that is looked at; an example of the
document gets all the way, and one odd value in it reaches whatever reads that value.
"""

import copy
import json
from random import Random
from typing import Any, Final

import httpx

from sidecar.api.openapi.examples import Example, examples
from tests.described import NotAsDescribed, hold_to_document
from tests.fuzzing.tally import Tally

_ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, 1, -1, 0.5, 1e308, -1e-320, 2**31, 2**53 - 1, 2**53, 2**64, -(2**63),
    10**30, "", " ",
    "*", "?", "0", "-1", "none", "\0", "\u202e", "\U0001f600", "é" * 256, "x" * 257,
    "2026-11-22", "2026-11-22T10:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "admin_users", "pro", "tokens", "cost", [], {}, [[]], {"": ""}, [None], ["x"] * 70,
    {"a": {"b": {"c": {"d": 1}}}}, {str(each): each for each in range(70)},
)  # fmt: skip


async def ask_spoilt(client: httpx.AsyncClient, requests: int, seed: int) -> Tally:
    """Ask so many times."""
    random = Random(seed)
    whole = [each for each in examples() if each.body is not None]
    tally = Tally()
    for _ in range(requests):
        example = random.choice(whole)
        body = _spoilt(example.body, random)
        answer = await client.post(
            _path(example), content=json.dumps(body), headers={"Content-Type": example.media_type}
        )
        tally.asked += 1
        tally.statuses[answer.status_code] += 1
        tally.operations[example.route] += 1
        try:
            await hold_to_document(answer)
        except NotAsDescribed as fault:
            tally.failures.setdefault(f"{example.route}: {answer.status_code}", f"{body}: {fault}")
    return tally


def _path(example: Example) -> str:
    return example.route.format(**example.path)


def _spoilt(body: Any, random: Random) -> Any:
    """A body with one or two odd values, in the place of others or beside them."""
    spoilt = copy.deepcopy(body)
    for _ in range(random.choice((1, 1, 2))):
        places = list(_places(spoilt))
        if not places:
            return random.choice(_ODD)
        parent, name = random.choice(places)
        match random.randrange(6):
            case 0 if isinstance(parent, dict):
                del parent[name]
            case 1 if isinstance(parent, dict):
                parent[random.choice((f"{name}x", str(name).upper(), "", "id", "\0"))] = parent[
                    name
                ]
            case _:
                parent[name] = copy.deepcopy(random.choice(_ODD))
    return spoilt


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every spot in a body: what holds it, and its name or number there."""
    names = list(value) if isinstance(value, dict) else []
    if isinstance(value, list):
        names = list(range(len(value)))
    return [(value, name) for name in names] + [
        place for name in names for place in _places(value[name])
    ]
