"""Where does what is decided and counted go besides, for a person who starts the server?"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from sidecar.settings import Settings


def lines_beside(settings: Settings) -> Iterator[tuple[str, str]]:
    """A name and what is told of it; of what nobody asked for, nothing."""
    url = settings.control_plane_usage_ingest_url
    if url and settings.control_plane_usage_ingest_enabled:
        form = settings.control_plane_usage_ingest_format
        yield "outbox", f"posts each event to {_host(url)}, as {form}"
    elif url:
        yield "outbox", "off: set CONTROL_PLANE_USAGE_INGEST_ENABLED=true to post events"
    if settings.sidecar_decision_log:
        yield "record", f"decisions are written to {settings.sidecar_decision_log}"
    elif settings.sidecar_decision_log_chain:
        yield "record", "off: set SIDECAR_DECISION_LOG to a directory, so that there is a chain"


def _host(url: str) -> str:
    """The address without a password, and without a path, which may be one."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
