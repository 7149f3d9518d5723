"""Are requests traced? Nothing of OpenTelemetry is imported unless the environment asks for it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from sidecar.errors import ConfigurationError
from sidecar.ports import DecisionLog, Policies
from sidecar.settings import Settings

if TYPE_CHECKING:
    from sidecar.adapters.tracing.requests import TracedRequests


@dataclass(frozen=True, slots=True)
class Tracing:
    """Who notes what in the traces.

    Attributes:
        decisions: a decision log.
        policies: the same policies, traced.
    """

    requests: "TracedRequests"
    decisions: DecisionLog
    policies: Callable[[Policies], Policies]
    _close: Callable[[], Awaitable[None]]

    @property
    def headers(self) -> Callable[[], Mapping[str, str]]:
        """What goes along with a request of our own."""
        return self.requests.headers

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Send on what was noted, the rest in the end."""
        try:
            yield
        finally:
            await self._close()


def demand_tracing(settings: Settings) -> None:
    """Return if what the environment asks for is installed.

    Raises:
        ConfigurationError: it is not.
    """
    if settings.traces_exporter is None:
        return
    try:
        import_module("sidecar.adapters.tracing.provider")
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the OTEL_ variables ask for traces, and {error.name} is not installed: "
            "pip install 'mozaiks-sidecar[otel]', or set OTEL_SDK_DISABLED=true"
        ) from error


def tracing_of(settings: Settings) -> Tracing | None:
    """What the environment asks for, None where it asks for nothing.

    Raises:
        ConfigurationError: it asks for what is not installed.
    """
    exporter = settings.traces_exporter
    if exporter is None:
        return None
    demand_tracing(settings)
    from sidecar.adapters.tracing.decisions import TracedDecisions, TracedPolicies
    from sidecar.adapters.tracing.provider import Provider
    from sidecar.adapters.tracing.requests import TracedRequests

    provider = Provider(exporter)
    store = "sqlite" if settings.sidecar_store.startswith("sqlite") else "redis"
    return Tracing(
        TracedRequests(provider.tracer, store),
        TracedDecisions(),
        lambda policies: TracedPolicies(policies, provider.tracer),
        provider.close,
    )
