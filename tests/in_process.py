"""The whole application in this process, on a store in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from sidecar.bootstrap.server import create_app
from sidecar.settings import Settings
from tests.described import hold_to_document
from tests.processes import ROOT


@asynccontextmanager
async def application(
    policies: Path | str = "policies/platform", **settings: object
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a running application, whose answers are held to the document.

    Args:
        settings: by their field names.
    """
    given = {
        "sidecar_policies": ROOT / policies, "sidecar_store": "sqlite://", "sidecar_spool": None,
    } | settings  # fmt: skip
    app = create_app(Settings.model_validate(given))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://localhost",
            event_hooks={"response": [hold_to_document]},
        ) as client:
            yield client
