"""
Record traces with OpenTelemetry. The only module that imports it.

OpenTelemetry's own ASGI middleware records the path, the query and optionally headers, and with them ids of subjects
and keys. This one records a fixed set of attributes, and the type of an error without its message, which may contain a
name.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.observability.logging import request_id
from app.observability.route_names import known_method, route_name_of
from app.observability.tracing import Tracing

UNTRACED = frozenset({"/healthz", "/readyz", "/metrics"})  # machines request these every few seconds
CLOSING_SECONDS = 3.0  # of the 10 seconds in which a service must stop


def otlp() -> SpanExporter:
    """Return an exporter that sends over HTTP as the OTEL_EXPORTER_OTLP_* variables configure it."""
    return OTLPSpanExporter()


def tracing_to(exporter: SpanExporter, version: str) -> Tracing:
    provider = TracerProvider(resource=_resource(version), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("likeness", version)
    return Tracing(lambda app: TracingMiddleware(app, tracer), _child_spans(tracer), lambda: _close(provider, exporter))


class TracingMiddleware:
    """Records a span per request, named after its route, as a child of the caller's `traceparent`."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app, self._tracer = app, tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in UNTRACED:
            return await self._app(scope, receive, send)
        status = 500  # the status of an error that leaves this middleware

        async def send_and_track(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        with _span(self._tracer, "request", _parent_context(scope), SpanKind.SERVER) as span:
            try:
                return await self._app(scope, receive, send_and_track)
            finally:
                _describe(span, scope, status)


def _parent_context(scope: Scope) -> Context:
    return propagate.extract({name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]})


def _describe(span: Span, scope: Scope, status: int) -> None:
    method, route = known_method(scope["method"]), route_name_of(scope)
    span.update_name(f"{method} {route}")
    span.set_attributes({"http.request.method": method, "http.route": route, "http.response.status_code": status})
    span.set_attribute("request_id", request_id.get() or "")
    if status >= 500:
        span.set_status(StatusCode.ERROR)


def _child_spans(tracer: Tracer) -> Callable[[str], AbstractContextManager[None]]:
    @contextmanager
    def child(name: str) -> Iterator[None]:
        if not trace.get_current_span().is_recording():
            yield  # otherwise each stage of an untraced request would start its own trace
            return
        with _span(tracer, name):
            yield

    return child


def _close(provider: TracerProvider, exporter: SpanExporter) -> None:
    """Send the remaining spans, but do not wait the exporter's 30 seconds for a collector that does not answer."""
    closing = threading.Thread(target=provider.shutdown, name="closing-traces", daemon=True)
    closing.start()
    closing.join(CLOSING_SECONDS)
    if closing.is_alive():
        exporter.shutdown()


@contextmanager
def _span(
    tracer: Tracer, name: str, parent: Context | None = None, kind: SpanKind = SpanKind.INTERNAL
) -> Iterator[Span]:
    with tracer.start_as_current_span(
        name, parent, kind, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            raise


def _resource(version: str) -> Resource:
    """Describe the service; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take precedence."""
    defaults = Resource({SERVICE_NAME: "likeness", SERVICE_VERSION: version})
    return Resource.create().merge(defaults).merge(OTELResourceDetector().detect())
