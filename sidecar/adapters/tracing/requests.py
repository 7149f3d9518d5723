"""What is noted of a request? A span, in the trace that it came with, and its visits to the store.

Names follow https://opentelemetry.io/docs/specs/semconv/http/http-spans/ and …/database/.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from sidecar.logs import TRACE

_CONTEXT: Final = (b"traceparent", b"tracestate", b"baggage")
_DEFECT: Final = 500


class TracedRequests:
    """Follows requests; hears how each was answered, and of each visit to the store.

    Args:
        store: what technology it is.
    """

    def __init__(self, tracer: Tracer, store: str) -> None:
        self._tracer = tracer
        self._store = store

    @contextmanager
    def request(
        self, method: str, path: str, headers: Sequence[tuple[bytes, bytes]]
    ) -> Iterator[None]:
        """Whatever happens within belongs to this request."""
        carrier = {
            name.decode("ascii"): value.decode("latin-1")
            for name, value in headers
            if name in _CONTEXT
        }
        told = {"http.request.method": method, "url.path": path, "url.scheme": "http"}
        with self._tracer.start_as_current_span(
            method, propagate.extract(carrier), SpanKind.SERVER, told
        ) as span:
            ids = span.get_span_context()
            before = TRACE.set(
                (trace.format_trace_id(ids.trace_id), trace.format_span_id(ids.span_id))
            )
            try:
                yield
            finally:
                TRACE.reset(before)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note how it was answered; a refusal is an answer, a defect is none."""
        span = trace.get_current_span()
        span.set_attribute("http.response.status_code", status)
        if route:
            span.set_attribute("http.route", route)
            span.update_name(f"{method} {route}")
        if status >= _DEFECT:
            span.set_attribute("error.type", str(status))
            span.set_status(Status(StatusCode.ERROR))

    def asked(self, operation: str, began_s: float) -> None:
        """Note one visit to the store that is answered just now."""
        self._visited(operation, began_s, None)

    def failed(self, operation: str, began_s: float, fault: str, *, is_late: bool) -> None:
        """Note one that came to nothing just now."""
        self._visited(operation, began_s, fault, "timeout" if is_late else "error")

    def headers(self) -> Mapping[str, str]:
        """What others are sent along, so that they go on in the same trace."""
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return carrier

    def _visited(self, operation: str, began_s: float, fault: str | None, kind: str = "") -> None:
        if not trace.get_current_span().is_recording():
            # Work beside the requests is in nobody's trace.
            return
        end_ns = time.time_ns()
        span = self._tracer.start_span(
            f"{self._store} {operation}",
            kind=SpanKind.CLIENT,
            attributes={"db.system.name": self._store, "db.operation.name": operation},
            start_time=end_ns - int((time.monotonic() - began_s) * 1e9),
        )
        if fault is not None:
            span.set_attribute("error.type", kind)
            span.set_status(Status(StatusCode.ERROR, fault))
        span.end(end_ns)
