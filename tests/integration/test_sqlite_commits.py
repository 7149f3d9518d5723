"""Does a commit leave the same on SQLite whichever way it goes, the short one or the other?"""

import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.adapters.sqlite import finishing
from tests.contract.stores import ManualClock, World, sqlite_meter
from tests.contract.test_plain_commits import LIMITS, STEPS, step


async def played(path: Path, seed: int) -> tuple[list[object], list[str]]:
    """What random calls were answered, and what the file holds then."""
    dice, clock, answers = random.Random(seed), ManualClock(), list[object]()
    names: dict[str, list[str]] = {}
    async with sqlite_meter(path, clock) as meter:
        world = World(meter, clock)
        for _ in range(STEPS):
            # One user without grants, whose commits nearly all are plain, and one with some.
            user, ahead = dice.choice(("ann", "bob")), dice.choice((0, 0, 1, 7, 30, -3))
            clock.advance(seconds=ahead)
            thrown = random.Random(dice.random())
            one = replace(world, user=user)
            answers.append(await step(one, thrown, names.setdefault(user, [])))
            made = await one.reserve(*thrown.sample(LIMITS, 2), tokens=thrown.randrange(50))
            if made.reservation is not None:
                done = await one.commit(made.reservation.id, thrown.randrange(60))
                answers.append((made.readings, done))
        for user in names:
            answers.append(await world.usage(user))
        answers.append(await world.statements())
    with closing(sqlite3.connect(path)) as connection:
        return answers, list(connection.iterdump())


@pytest.mark.parametrize("seed", range(12))
async def test_a_commit_leaves_the_same_whichever_way_it_goes(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = await played(tmp_path / "short.db", seed)
    plain = 0
    is_plain = finishing._is_plain

    def never(*given: object) -> bool:
        nonlocal plain
        plain += is_plain(*given)  # type: ignore[arg-type] # as they were given
        return False

    monkeypatch.setattr(finishing, "_is_plain", never)
    assert await played(tmp_path / "long.db", seed) == short
    assert plain > 10
