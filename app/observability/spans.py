"""
The only importer of OpenTelemetry.

Its own ASGI middleware records the path, the query and, if asked, headers: ids of subjects and keys. This one records
what is named here, and of an error its type alone, for a message may name somebody.
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

UNTRACED = frozenset({"/healthz", "/readyz", "/metrics"})  # asked every few seconds, by machines
CLOSING_SECONDS = 3.0  # of the 10 that a service has to stop


def otlp() -> SpanExporter:
    """Sends over HTTP to where the OTEL_EXPORTER_OTLP_* variables say."""
    return OTLPSpanExporter()


def tracing_to(exporter: SpanExporter, version: str) -> Tracing:
    provider = TracerProvider(resource=_resource(version), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("likeness", version)
    return Tracing(lambda app: Traced(app, tracer), _children_by(tracer), lambda: _close(provider, exporter))


class Traced:
    """A span a request, named after its route; it goes on where the caller's `traceparent` left off."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app, self._tracer = app, tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in UNTRACED:
            return await self._app(scope, receive, send)
        status = 500  # what an error becomes that escapes from here

        async def noting_status(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        with _span(self._tracer, "request", _caller_of(scope), SpanKind.SERVER) as span:
            try:
                return await self._app(scope, receive, noting_status)
            finally:
                _describe(span, scope, status)


def _caller_of(scope: Scope) -> Context:
    return propagate.extract({name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]})


def _describe(span: Span, scope: Scope, status: int) -> None:
    method, route = known_method(scope["method"]), route_name_of(scope)
    span.update_name(f"{method} {route}")
    span.set_attributes({"http.request.method": method, "http.route": route, "http.response.status_code": status})
    span.set_attribute("request_id", request_id.get() or "")
    if status >= 500:
        span.set_status(StatusCode.ERROR)


def _children_by(tracer: Tracer) -> Callable[[str], AbstractContextManager[None]]:
    @contextmanager
    def child(name: str) -> Iterator[None]:
        if not trace.get_current_span().is_recording():
            yield  # or each stage of an untraced request would be a trace of its own
            return
        with _span(tracer, name):
            yield

    return child


def _close(provider: TracerProvider, exporter: SpanExporter) -> None:
    """Sends what is left; a collector that does not answer would hold it for 30 seconds and is given up."""
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
    """The operator's OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES have the last word."""
    ours = Resource({SERVICE_NAME: "likeness", SERVICE_VERSION: version})
    return Resource.create().merge(ours).merge(OTELResourceDetector().detect())
