"""Where is kept what the store cannot take, and who counts it later?"""

import time
from typing import Final

from sidecar.adapters.clock import SystemClock
from sidecar.adapters.spool.spooled import SpooledEntries
from sidecar.bootstrap.stores import Store
from sidecar.deferring import DeferringPDP
from sidecar.settings import Settings

PATIENCE_S: Final = 1.0
"""What is counted later may take longer; and it must not look as if the store were away."""


def spool_of(settings: Settings, pdp: DeferringPDP, store: Store) -> SpooledEntries | None:
    """The spool that the settings name, None where they name none.

    Args:
        pdp: a patient one, that counts what was kept.
    """
    folder = settings.sidecar_spool
    if folder is None:
        return None

    async def may_count() -> None:
        await store.meter.ping(since=time.monotonic())

    return SpooledEntries(
        folder,
        pdp.count_deferred,
        may_count,
        SystemClock(),
        most_bytes=settings.sidecar_spool_max_mb << 20,
        # The control plane gets events in the order in which they are counted.
        in_order=settings.control_plane_usage_ingest_enabled,
    )
