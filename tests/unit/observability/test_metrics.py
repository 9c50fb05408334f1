"""Each event appears in its metrics, and gauges are read at every scrape."""

import logging
import threading
from typing import Any
from unittest.mock import call

import pytest

from app.observability.gauges import MAX_GALLERIES, GallerySize
from app.observability.metrics import CONTENT_TYPE, Metrics
from tests.unit.observability.conftest import Sample

Expected = list[tuple[str, dict[str, str], float | None]]
REQUEST, STAGE, DISTANCE = "likeness_request_seconds", "likeness_stage_seconds", "likeness_verification_distance"
STAGES = {"decode": 1.5, "detect": 250.0, "align": 0.0, "embed": 0.0, "queue": 0.4, "total": 260.0}
EVENTS: dict[str, tuple[list[Any], Expected]] = {
    "requests": (
        [
            call.observe_request("/verify", "POST", 200, 0.25),
            call.observe_request("/verify", "POST", 200, 0.5),
            call.observe_request("/verify", "POST", 422, 4.0),
        ],
        [
            ("likeness_requests_total", {"route": "/verify", "method": "POST", "status": "200"}, 2),
            ("likeness_requests_total", {"route": "/verify", "method": "POST", "status": "422"}, 1),
            (f"{REQUEST}_count", {"route": "/verify"}, 3),
            (f"{REQUEST}_sum", {"route": "/verify"}, 4.75),
            (f"{REQUEST}_bucket", {"route": "/verify", "le": "0.2"}, 0),
            (f"{REQUEST}_bucket", {"route": "/verify", "le": "0.3"}, 1),
        ],
    ),
    "stages that took time": (
        [call.observe_stages(STAGES)],
        [
            (f"{STAGE}_sum", {"stage": "decode"}, 0.0015),
            (f"{STAGE}_sum", {"stage": "detect"}, 0.25),
            (f"{STAGE}_bucket", {"stage": "queue", "le": "0.0005"}, 1),
            (f"{STAGE}_count", {"stage": "align"}, None),
            (f"{STAGE}_count", {"stage": "total"}, None),
        ],
    ),
    "photos by faces": (
        [call.on_photo(faces) for faces in (0, 0, 1, 7)],
        [
            ("likeness_faces_found_bucket", {"le": "0.0"}, 2),
            ("likeness_faces_found_bucket", {"le": "1.0"}, 3),
            ("likeness_faces_found_count", {}, 4),
            ("likeness_faces_found_sum", {}, 8),
        ],
    ),
    "rejected images by reason": (
        [call.on_rejected(reason) for reason in ("invalid_image", "face_not_found", "face_not_found")],
        [
            ("likeness_images_rejected_total", {"reason": "face_not_found"}, 2),
            ("likeness_images_rejected_total", {"reason": "invalid_image"}, 1),
        ],
    ),
    "distances by match": (
        [call.on_compared(distance, match=distance < 1) for distance in (0.45, 1.95, 2.05)],
        [
            (f"{DISTANCE}_count", {"match": "true"}, 1),
            (f"{DISTANCE}_sum", {"match": "true"}, 0.45),
            (f"{DISTANCE}_count", {"match": "false"}, 2),
            (f"{DISTANCE}_bucket", {"match": "false", "le": "2.0"}, 1),
        ],
    ),
    "extreme distances": (
        [call.on_compared(distance, match=True) for distance in (0.0, 4.0)],
        [(f"{DISTANCE}_bucket", {"match": "true", "le": "4.0"}, 2)],
    ),
    "batches by faces": (
        [call.on_batch(faces) for faces in (1, 8)],
        [
            ("likeness_batch_faces_count", {}, 2),
            ("likeness_batch_faces_sum", {}, 9),
            ("likeness_batch_faces_bucket", {"le": "6.0"}, 1),
        ],
    ),
    "expired faces": ([call.on_expired(3), call.on_expired(4)], [("likeness_faces_expired_total", {}, 7)]),
    "problems by code": (
        [call.problem(code) for code in ("unauthorized", "unauthorized", "overloaded")],
        [
            ("likeness_problems_total", {"code": "unauthorized"}, 2),
            ("likeness_problems_total", {"code": "overloaded"}, 1),
        ],
    ),
}


@pytest.mark.parametrize("name", EVENTS)
def test_event_is_counted(metrics: Metrics, sample: Sample, name: str) -> None:
    calls, expected = EVENTS[name]
    for method, args, kwargs in calls:
        getattr(metrics, method)(*args, **kwargs)
    assert [(series, labels, sample(series, **labels)) for series, labels, _ in expected] == expected


@pytest.mark.parametrize("method", ["PROPFIND", "post", "", "X" * 4000])
def test_unknown_method_has_no_series_of_its_own(metrics: Metrics, sample: Sample, method: str) -> None:
    metrics.observe_request("unmatched", method, 405, 0.1)
    assert sample("likeness_requests_total", route="unmatched", method="other", status="405") == 1


def test_requests_are_in_flight_until_they_end_or_fail(metrics: Metrics, sample: Sample) -> None:
    with metrics.in_flight(), metrics.in_flight():
        assert sample("likeness_requests_in_flight") == 2
    with pytest.raises(ZeroDivisionError), metrics.in_flight():
        1 / 0  # noqa: B018
    assert sample("likeness_requests_in_flight") == 0


def test_known_problems_start_at_zero() -> None:
    text = Metrics(codes=["unauthorized"]).render().decode()
    assert 'likeness_problems_total{code="unauthorized"} 0.0' in text


def test_queues_are_read_at_every_scrape(metrics: Metrics, sample: Sample) -> None:
    waiting = ["a", "b"]
    metrics.watch_queue("photos", lambda: len(waiting), 66)
    metrics.watch_queue("faces", lambda: 0, 1024)
    waiting.append("c")
    for queue, depth, limit in (("photos", 3, 66), ("faces", 0, 1024)):
        assert sample("likeness_queue_depth", queue=queue) == depth
        assert sample("likeness_queue_limit", queue=queue) == limit


def test_galleries_are_read_at_every_scrape(metrics: Metrics, sample: Sample) -> None:
    sizes = [GallerySize("default", subjects=2, faces=5), GallerySize('a "b"\\', subjects=1, faces=1)]
    metrics.watch_galleries(lambda: sizes)
    sizes[0] = GallerySize("default", subjects=3, faces=6)
    assert sample("likeness_gallery_subjects", gallery="default") == 3
    assert sample("likeness_gallery_faces", gallery="default") == 6
    assert sample("likeness_gallery_faces", gallery='a "b"\\') == 1


def test_galleries_beyond_the_largest_are_summed_without_a_name(metrics: Metrics, sample: Sample) -> None:
    many = [GallerySize(f"g{number}", subjects=1, faces=number) for number in range(MAX_GALLERIES + 3)]
    metrics.watch_galleries(lambda: many)
    assert metrics.render().decode().count("likeness_gallery_faces{") == MAX_GALLERIES + 1
    assert sample("likeness_gallery_faces", gallery="g3") == 3
    assert sample("likeness_gallery_faces", gallery="") == 0 + 1 + 2
    assert sample("likeness_gallery_subjects", gallery="") == 3


def test_unreadable_database_does_not_fail_the_scrape(
    metrics: Metrics, sample: Sample, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> list[GallerySize]:
        raise OSError("the disk is gone")

    metrics.watch_galleries(fail)
    metrics.on_photo(1)
    with caplog.at_level(logging.WARNING):
        assert sample("likeness_faces_found_count") == 1
    assert sample("likeness_gallery_faces", gallery="default") is None
    assert "cannot read galleries" in caplog.text


def test_readiness_is_read_at_every_scrape_and_false_if_it_fails(metrics: Metrics, sample: Sample) -> None:
    state = [True]
    assert sample("likeness_ready") == 0
    metrics.watch_readiness(lambda: state[0])
    assert sample("likeness_ready") == 1
    state.clear()
    assert sample("likeness_ready") == 0


def test_build_info_has_one_series(metrics: Metrics, sample: Sample) -> None:
    info = {"version": "1.0", "model": "m", "digest": "sha256:1", "runtime": "1.31"}
    for provider in ("cuda", "cpu"):
        metrics.set_build_info(provider=provider, **info)
    assert sample("likeness_build_info", provider="cpu", **info) == 1
    assert sample("likeness_build_info", provider="cuda", **info) is None


def test_metrics_of_the_process_are_included(sample: Sample) -> None:
    assert (sample("process_resident_memory_bytes") or 0) > 1e6
    assert (sample("process_open_fds") or 0) > 0
    assert sample("python_gc_collections_total", generation="0") is not None


def test_format_is_the_plain_text_without_creation_times(metrics: Metrics) -> None:
    assert "_created" not in metrics.render().decode()
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")


def test_applications_in_one_process_have_separate_metrics(metrics: Metrics) -> None:
    metrics.on_expired(5)
    assert "likeness_faces_expired_total 0.0" in Metrics().render().decode()


def test_no_event_is_lost_between_threads(metrics: Metrics, sample: Sample) -> None:
    def work() -> None:
        for _ in range(500):
            metrics.on_compared(1.5, match=True)
            metrics.problem("overloaded")

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sample(f"{DISTANCE}_count", match="true") == 2000
    assert sample(f"{DISTANCE}_sum", match="true") == pytest.approx(3000)
    assert sample("likeness_problems_total", code="overloaded") == 2000
