"""Stores for whole servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import redis_server


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty store, of each kind."""
    if request.param == "sqlite":
        yield "sqlite:///./data/sidecar.db"
    else:
        folder = tmp_path / "redis"
        folder.mkdir()
        with redis_server(folder) as server:
            yield server.url
