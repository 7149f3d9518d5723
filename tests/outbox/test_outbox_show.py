"""What was acknowledged arrives, whoever is away or killed meanwhile."""

from pathlib import Path

import pytest

from tests.outbox.show import Shown, show
from tests.processes import redis_server

EVENTS = 1_000


def hold(shown: Shown) -> None:
    assert (shown.sent, shown.kills, shown.early) == (EVENTS, 2, 0)
    assert shown.missing == set()
    assert shown.out_of_order == []


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_while_the_control_plane_is_away_and_servers_are_killed_nothing_is_lost(
    kind: str, tmp_path: Path
) -> None:
    if kind == "sqlite":
        hold(show(tmp_path, "sqlite:///./data/s.db", EVENTS))
        return
    with redis_server(tmp_path) as redis:
        hold(show(tmp_path, redis.url, EVENTS))


def test_two_replicas_on_one_redis_deliver_each_app_in_order(tmp_path: Path) -> None:
    with redis_server(tmp_path) as redis:
        hold(show(tmp_path, redis.url, EVENTS, replicas=2, is_away=False))
