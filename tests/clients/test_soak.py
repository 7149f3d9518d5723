"""The short form of `make soak`: fewer checks of fewer users."""

from pathlib import Path

from tests.clients.soak import soak

ROOM_MIB = 8.0
"""What caches that are not full yet may still take in so short a time."""


async def test_memory_stays_bounded_while_names_are_ever_new(tmp_path: Path) -> None:
    found = await soak(tmp_path, checks=4_000, users=1_000)

    assert found.checks == 4_000
    assert found.failed == []
    assert found.growth * found.rss[len(found.rss) // 2] < ROOM_MIB
    assert "Traceback" not in found.errors
