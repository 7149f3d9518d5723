"""Where do spans go? As OpenTelemetry's own environment variables say.

Sampler, batches, headers, certificates and time-outs are read by the SDK itself.
"""

import asyncio
import threading
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

from sidecar import __version__

_NAME: Final = "mozaiks-sidecar"
_PATIENCE_S: Final = 5.0
"""How long an end waits for the last spans to go out."""


class Provider:
    """Makes spans, and sends them on in a thread beside the answers.

    Args:
        exporter: `otlp` or `console`.
    """

    def __init__(self, exporter: str) -> None:
        sent_to: SpanExporter = OTLPSpanExporter() if exporter == "otlp" else ConsoleSpanExporter()
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(sent_to))
        self.tracer = self._provider.get_tracer("sidecar", __version__)

    async def close(self) -> None:
        """Send what waits, for a while; whoever keeps traces may be gone."""
        loop = asyncio.get_running_loop()
        is_over = asyncio.Event()

        def shut() -> None:
            self._provider.shutdown()
            loop.call_soon_threadsafe(is_over.set)

        # Nobody waits for this thread at the end of the process.
        threading.Thread(target=shut, name="traces", daemon=True).start()
        with_patience = asyncio.wait_for(is_over.wait(), _PATIENCE_S)
        await asyncio.gather(with_patience, return_exceptions=True)


def _resource() -> Resource:
    """What the environment says of this service, with its name where that says none."""
    told = Resource.create({SERVICE_VERSION: __version__})
    if str(told.attributes[SERVICE_NAME]).startswith("unknown_service"):
        return told.merge(Resource({SERVICE_NAME: _NAME}))
    return told
