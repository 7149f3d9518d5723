"""A client of the whole application, for tests of the API."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.in_process import application


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """The platform's policies on an empty store."""
    async with application() as client:
        yield client
