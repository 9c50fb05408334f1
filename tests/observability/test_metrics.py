"""Each metric appears after the event that it counts, with the value that it should have."""

import logging
import math

import pytest

from app.observability.gauges import MAX_GALLERIES, GallerySize
from app.observability.metrics import CONTENT_TYPE, Metrics
from tests.observability.conftest import Sample
from tests.support.background import map_in_threads


def test_a_request_is_counted_by_route_method_and_status_and_timed_by_route(metrics: Metrics, sample: Sample) -> None:
    metrics.answered("/verify", "POST", 200, 0.25)
    metrics.answered("/verify", "POST", 200, 0.5)
    metrics.answered("/verify", "POST", 422, 4.0)

    assert sample("likeness_requests_total", route="/verify", method="POST", status="200") == 2
    assert sample("likeness_requests_total", route="/verify", method="POST", status="422") == 1
    assert sample("likeness_request_seconds_count", route="/verify") == 3
    assert sample("likeness_request_seconds_sum", route="/verify") == 4.75
    assert sample("likeness_request_seconds_bucket", route="/verify", le="0.2") == 0
    assert sample("likeness_request_seconds_bucket", route="/verify", le="0.3") == 1


@pytest.mark.parametrize("method", ["PROPFIND", "post", "", "X" * 4000])
def test_a_method_that_nobody_knows_makes_no_series_of_its_own(metrics: Metrics, sample: Sample, method: str) -> None:
    metrics.answered("unmatched", method, 405, 0.1)

    assert sample("likeness_requests_total", route="unmatched", method="other", status="405") == 1


def test_requests_in_flight_are_those_inside_also_when_one_fails(metrics: Metrics, sample: Sample) -> None:
    with metrics.in_flight(), metrics.in_flight():
        assert sample("likeness_requests_in_flight") == 2

    with pytest.raises(ZeroDivisionError), metrics.in_flight():
        1 / 0  # noqa: B018

    assert sample("likeness_requests_in_flight") == 0


def test_stages_that_took_time_are_observed_in_seconds(metrics: Metrics, sample: Sample) -> None:
    metrics.stages({"decode": 1.5, "detect": 250.0, "align": 0.0, "embed": 0.0, "queue": 0.4, "total": 260.0})

    assert sample("likeness_stage_seconds_sum", stage="decode") == 0.0015
    assert sample("likeness_stage_seconds_sum", stage="detect") == 0.25
    assert sample("likeness_stage_seconds_bucket", stage="queue", le="0.0005") == 1
    assert sample("likeness_stage_seconds_count", stage="align") is None
    assert sample("likeness_stage_seconds_count", stage="total") is None


def test_photos_are_counted_by_the_faces_found_in_them(metrics: Metrics, sample: Sample) -> None:
    for faces in (0, 0, 1, 7):
        metrics.photo(faces)

    assert sample("likeness_faces_found_bucket", le="0.0") == 2
    assert sample("likeness_faces_found_bucket", le="1.0") == 3
    assert sample("likeness_faces_found_count") == 4
    assert sample("likeness_faces_found_sum") == 8


def test_images_that_could_not_be_used_are_counted_by_reason(metrics: Metrics, sample: Sample) -> None:
    for reason in ("invalid_image", "face_not_found", "face_not_found"):
        metrics.rejected(reason)

    assert sample("likeness_images_rejected_total", reason="face_not_found") == 2
    assert sample("likeness_images_rejected_total", reason="invalid_image") == 1


def test_distances_are_kept_apart_by_whether_they_matched(metrics: Metrics, sample: Sample) -> None:
    metrics.compared(0.45, match=True)
    metrics.compared(1.95, match=False)
    metrics.compared(2.05, match=False)

    assert sample("likeness_verification_distance_count", match="true") == 1
    assert sample("likeness_verification_distance_sum", match="true") == 0.45
    assert sample("likeness_verification_distance_count", match="false") == 2
    assert sample("likeness_verification_distance_bucket", match="false", le="2.0") == 1


@pytest.mark.parametrize("distance", [0.0, 4.0])
def test_the_buckets_cover_every_distance(metrics: Metrics, sample: Sample, distance: float) -> None:
    metrics.compared(distance, match=True)

    assert sample("likeness_verification_distance_bucket", match="true", le="4.0") == 1


def test_batches_are_counted_by_their_faces(metrics: Metrics, sample: Sample) -> None:
    metrics.batch(1)
    metrics.batch(8)

    assert sample("likeness_batch_faces_count") == 2
    assert sample("likeness_batch_faces_sum") == 9
    assert sample("likeness_batch_faces_bucket", le="6.0") == 1


def test_expired_faces_add_up(metrics: Metrics, sample: Sample) -> None:
    metrics.expired(3)
    metrics.expired(4)

    assert sample("likeness_faces_expired_total") == 7


def test_problems_are_counted_by_code(metrics: Metrics, sample: Sample) -> None:
    metrics.problem("unauthorized")
    metrics.problem("unauthorized")
    metrics.problem("overloaded")

    assert sample("likeness_problems_total", code="unauthorized") == 2
    assert sample("likeness_problems_total", code="overloaded") == 1


def test_problems_that_are_known_stand_at_zero_from_the_start() -> None:
    text = Metrics(codes=["unauthorized"]).render().decode()

    assert 'likeness_problems_total{code="unauthorized"} 0.0' in text


def test_a_queue_is_read_at_scrape(metrics: Metrics, sample: Sample) -> None:
    waiting = ["a", "b"]
    metrics.watch_queue("photos", lambda: len(waiting), 66)
    metrics.watch_queue("faces", lambda: 0, 1024)
    waiting.append("c")

    assert sample("likeness_queue_depth", queue="photos") == 3
    assert sample("likeness_queue_limit", queue="photos") == 66
    assert sample("likeness_queue_depth", queue="faces") == 0
    assert sample("likeness_queue_limit", queue="faces") == 1024


def test_galleries_are_read_at_scrape(metrics: Metrics, sample: Sample) -> None:
    sizes = [GallerySize("default", subjects=2, faces=5), GallerySize('a "b"\\', subjects=1, faces=1)]
    metrics.watch_galleries(lambda: sizes)
    sizes[0] = GallerySize("default", subjects=3, faces=6)

    assert sample("likeness_gallery_subjects", gallery="default") == 3
    assert sample("likeness_gallery_faces", gallery="default") == 6
    assert sample("likeness_gallery_faces", gallery='a "b"\\') == 1


def test_of_very_many_galleries_the_largest_are_named_and_the_others_added_up(metrics: Metrics, sample: Sample) -> None:
    many = [GallerySize(f"g{number}", subjects=1, faces=number) for number in range(MAX_GALLERIES + 3)]
    metrics.watch_galleries(lambda: many)

    text = metrics.render().decode()

    assert text.count("likeness_gallery_faces{") == MAX_GALLERIES + 1
    assert sample("likeness_gallery_faces", gallery="g3") == 3
    assert sample("likeness_gallery_faces", gallery="") == 0 + 1 + 2
    assert sample("likeness_gallery_subjects", gallery="") == 3


def test_when_the_store_cannot_be_read_the_scrape_still_answers(
    metrics: Metrics, sample: Sample, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> list[GallerySize]:
        raise OSError("the disk is gone")

    metrics.watch_galleries(fail)
    metrics.photo(1)

    with caplog.at_level(logging.WARNING):
        assert sample("likeness_faces_found_count") == 1
    assert sample("likeness_gallery_faces", gallery="default") is None
    assert "cannot read galleries" in caplog.text


def test_readiness_is_read_at_scrape_and_a_service_that_cannot_say_is_not_ready(
    metrics: Metrics, sample: Sample
) -> None:
    state = [False]
    assert sample("likeness_ready") == 0

    metrics.ready(lambda: state[0])
    state[0] = True
    assert sample("likeness_ready") == 1

    state.clear()
    assert sample("likeness_ready") == 0


def test_what_runs_is_described_once(metrics: Metrics, sample: Sample) -> None:
    said = {"version": "1.0", "model": "m", "digest": "sha256:1", "runtime": "1.31"}
    metrics.describe(provider="cuda", **said)
    metrics.describe(provider="cpu", **said)

    assert sample("likeness_build_info", provider="cpu", **said) == 1
    assert sample("likeness_build_info", provider="cuda", **said) is None


def test_the_process_describes_itself(sample: Sample) -> None:
    assert (sample("process_resident_memory_bytes") or 0) > 1e6
    assert (sample("process_open_fds") or 0) > 0
    assert sample("python_gc_collections_total", generation="0") is not None


def test_nothing_twice_and_in_the_plain_format(metrics: Metrics) -> None:
    text = metrics.render().decode()

    assert "_created" not in text
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")


def test_two_applications_in_a_process_do_not_mix(metrics: Metrics) -> None:
    metrics.expired(5)

    assert "likeness_faces_expired_total 0.0" in Metrics().render().decode()


def test_no_event_is_lost_between_threads(metrics: Metrics, sample: Sample) -> None:
    def count(_: int) -> None:
        for _event in range(500):
            metrics.compared(1.5, match=True)
            metrics.problem("overloaded")

    map_in_threads(count, range(4), 4)

    assert sample("likeness_verification_distance_count", match="true") == 2000
    assert math.isclose(sample("likeness_verification_distance_sum", match="true") or 0, 3000)
    assert sample("likeness_problems_total", code="overloaded") == 2000
