"""A request is a span with its stages as children, and no span contains an id or a name."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.bootstrap.tracing import open_tracing
from app.concurrency.worker_pool import WorkerPool
from app.domain.errors import FaceNotFound
from app.main import create_app
from app.observability import logging as service_logging
from app.observability.tracing import Tracing
from app.services.timing import StageTimer
from app.settings import Settings
from tests.support.clock import unhurried

pytest.importorskip("opentelemetry.sdk", reason="no traces without the otel extra: pip install '.[otel]'")

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from app.observability.otel import tracing_to

SUBJECT = "ada-lovelace"
ROUTE = "/galleries/{gallery}/subjects/{subject}"
PATH = f"/galleries/guests/subjects/{SUBJECT}?{SUBJECT}=1"
Spans = Callable[[], dict[str, ReadableSpan]]


def service(tracing: Tracing, workers: WorkerPool) -> FastAPI:
    """An application that reads on a thread and embeds on the event loop, as the service does."""
    app = FastAPI()

    @app.get(ROUTE)
    async def read_and_embed() -> None:
        service_logging.request_id.set("r-1")
        timer = StageTimer(tracing.span)

        def read() -> None:
            with timer.stage("decode"):
                time.sleep(0.001)

        await workers.run(read)
        with timer.stage("embed"):
            pass

    @app.get("/broken/{subject}")
    async def fail(subject: str) -> None:
        with StageTimer(tracing.span).stage("detect"):
            raise FaceNotFound(f"no face of {subject}")

    @app.get("/healthz")
    async def health() -> None:
        with StageTimer(tracing.span).stage("decode"):
            pass

    app.add_middleware(tracing.middleware)
    return app


@pytest.fixture
def workers() -> Iterator[WorkerPool]:
    opened = WorkerPool("test", threads=2, max_waiting=8, deadline=10)
    yield opened
    opened.close()


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> Iterator[Tracing]:
    opened = tracing_to(exporter, "1.2.3")
    yield opened
    opened.close()


@pytest.fixture
def client(tracing: Tracing, workers: WorkerPool) -> TestClient:
    return TestClient(service(tracing, workers), raise_server_exceptions=False)


@pytest.fixture
def finished_spans(tracing: Tracing, exporter: InMemorySpanExporter) -> Spans:
    """Ends tracing and returns the spans by name."""

    def close_and_read() -> dict[str, ReadableSpan]:
        tracing.close()
        return {span.name: span for span in exporter.get_finished_spans()}

    return close_and_read


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def id_of(span: ReadableSpan) -> int | None:
    return span.context.span_id if span.context else None


def test_stages_are_children_of_their_request_also_on_threads(client: TestClient, finished_spans: Spans) -> None:
    client.get(PATH)
    spans = finished_spans()
    request = spans[f"GET {ROUTE}"]
    assert spans.keys() == {f"GET {ROUTE}", "decode", "embed"}
    assert (request.kind, request.parent) == (SpanKind.SERVER, None)
    assert parent_of(spans["decode"]) == parent_of(spans["embed"]) == id_of(request)


def test_request_span_has_only_the_documented_attributes(client: TestClient, finished_spans: Spans) -> None:
    client.get(PATH)
    spans = finished_spans()
    assert dict(spans[f"GET {ROUTE}"].attributes or {}) == {
        "http.request.method": "GET",
        "http.route": ROUTE,
        "http.response.status_code": 200,
        "request_id": "r-1",
    }
    assert dict(spans["decode"].attributes or {}) == {}
    assert spans["decode"].resource.attributes["service.name"] == "likeness"
    assert spans["decode"].resource.attributes["service.version"] == "1.2.3"


@pytest.mark.parametrize("path", [PATH, f"/broken/{SUBJECT}", f"/nowhere/{SUBJECT}"])
def test_no_span_contains_a_subject_id(client: TestClient, finished_spans: Spans, path: str) -> None:
    client.get(path, headers={"X-API-Key": SUBJECT, "User-Agent": SUBJECT})
    documents = [span.to_json() for span in finished_spans().values()]
    assert documents
    assert not [each for each in documents if SUBJECT in each]


def test_error_is_recorded_by_its_type_only(client: TestClient, finished_spans: Spans) -> None:
    assert client.get(f"/broken/{SUBJECT}").status_code == 500
    spans = finished_spans()
    request, stage = spans["GET /broken/{subject}"], spans["detect"]
    assert request.status.status_code == StatusCode.ERROR
    assert request.status.description is None
    assert (request.attributes or {})["http.response.status_code"] == 500
    assert (request.attributes or {})["error.type"] == (stage.attributes or {})["error.type"] == "FaceNotFound"
    assert not request.events
    assert not stage.events


def test_client_error_is_not_a_failed_span(client: TestClient, finished_spans: Spans) -> None:
    client.request("BREW", "/nowhere")
    span = finished_spans()["other unmatched"]
    assert span.status.status_code == StatusCode.UNSET
    assert (span.attributes or {})["http.response.status_code"] == 404


def test_trace_of_the_caller_is_continued(client: TestClient, finished_spans: Spans) -> None:
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    client.get(PATH, headers={"traceparent": f"00-{trace}-{span}-01"})
    spans = finished_spans()
    assert {f"{each.context.trace_id:032x}" for each in spans.values() if each.context} == {trace}
    assert f"{parent_of(spans[f'GET {ROUTE}']):016x}" == span


def test_probes_are_not_traced(client: TestClient, finished_spans: Spans) -> None:
    assert client.get("/healthz").status_code == 200
    assert finished_spans() == {}


def test_stage_outside_of_a_request_is_timed_but_not_traced(tracing: Tracing, finished_spans: Spans) -> None:
    timer = StageTimer(tracing.span)
    with timer.stage("decode"):
        time.sleep(0.001)
    assert timer.milliseconds()["decode"] >= 1
    assert finished_spans() == {}


def test_environment_overrides_the_name_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "door")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab")
    exporter = InMemorySpanExporter()
    tracing = tracing_to(exporter, "1")
    TestClient(tracing.middleware(FastAPI())).get("/")
    tracing.close()
    named = exporter.get_finished_spans()[0].resource.attributes
    assert (named["service.name"], named["deployment.environment.name"]) == ("door", "lab")


def test_telemetry_of_fastapi_is_off_even_if_the_process_has_a_tracer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: provider)
    TestClient(create_app(Settings(data_dir=tmp_path))).get(f"/nowhere/{SUBJECT}")
    assert exporter.get_finished_spans() == ()
    TestClient(FastAPI()).get(f"/nowhere/{SUBJECT}")  # for comparison: FastAPI without our settings
    assert SUBJECT in exporter.get_finished_spans()[0].to_json()


class Collector(HTTPServer):
    """Receives what an exporter sends over HTTP."""

    def __init__(self) -> None:
        self.received: list[tuple[str, bytes]] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.shutdown()
        self.thread.join(10)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    opened = Collector()
    yield opened
    opened.close()


def test_spans_are_sent_to_the_endpoint_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, collector: Collector, workers: WorkerPool
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    tracing = open_tracing("1.2.3")
    TestClient(service(tracing, workers)).get(PATH)
    tracing.close()
    ((path, body),) = collector.received
    assert path == "/v1/traces"
    assert b"decode" in body
    assert ROUTE.encode() in body
    assert SUBJECT.encode() not in body


def test_unreachable_collector_does_not_delay_requests_or_the_end(
    monkeypatch: pytest.MonkeyPatch, workers: WorkerPool
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    tracing = open_tracing("1.2.3")
    answer = TestClient(service(tracing, workers)).get(PATH)
    started = unhurried()
    tracing.close()
    assert answer.status_code == 200
    assert unhurried() - started < 5
