"""GET /metrics under the names that dashboards use, with values that the traffic explains."""

import re
from collections.abc import Iterator

import pytest

from tests.support.answers import answered
from tests.support.api import Api, at_once
from tests.support.commands import new_keys, with_key
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN, NO_FACE, collins, hopper, jpeg, side_by_side
from tests.support.server import Server

SAMPLE = re.compile(r"^([a-zA-Z_:]+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
STAGES = ("decode", "detect", "align", "embed", "queue")
QUEUES = ("photos", "faces", "store", "search")
FACES = "/galleries/{gallery}/subjects/{subject}/faces"


class Scrape:
    """Values by name and labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.values = {
            (name, *sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or ""))): float(value)
            for name, labels, value in SAMPLE.findall(text)
        }

    def __call__(self, name: str, **labels: str) -> float:
        return self.values.get((name, *sorted(labels.items())), 0.0)

    def labels(self, name: str) -> list[dict[str, str]]:
        return [dict(key[1:]) for key in self.values if key[0] == name]

    def requests(self, route: str, method: str, status: int) -> float:
        return self("likeness_requests_total", route=route, method=method, status=str(status))


def traffic(api: Api) -> None:
    answered(api.verify(HOPPER, HOPPER_AGAIN))
    answered(api.verify(HOPPER, COLLINS))
    answered(api.detect(jpeg(side_by_side(hopper(), collins()))))
    answered(api.enroll("club", "hopper", HOPPER), 201)
    answered(api.enroll("club", "hopper", HOPPER_AGAIN), 201)
    api.detect(b"this is no image")
    api.verify(HOPPER, NO_FACE)
    api.http.get("/galleries/nowhere")
    api.http.get("/nothing/secret-path")
    api.http.get("/models", headers={"X-API-Key": "lk_no_key"})
    at_once([lambda: answered(api.detect(HOPPER))] * 3)


@pytest.fixture(scope="module")
def scrape(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scrape]:
    """The metrics after this traffic and no other."""
    data_dir = tmp_path_factory.mktemp("metrics") / "data"
    admin, metrics = new_keys(data_dir, ["--scopes", "admin"], ["--scopes", "metrics"])
    with Server(data_dir) as server, with_key(server, admin) as api, with_key(server, metrics) as scraper:
        traffic(api)
        answer = scraper.http.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        yield Scrape(answer.text)


def test_requests_are_counted_by_route_method_and_status(scrape: Scrape) -> None:
    assert scrape.requests("/verify", "POST", 200) == 2
    assert scrape.requests("/verify", "POST", 422) == 1
    assert scrape.requests("/detect", "POST", 200) == 4
    assert scrape.requests("/detect", "POST", 422) == 1
    assert scrape.requests(FACES, "POST", 201) == 2
    assert scrape.requests("/galleries/{gallery}", "GET", 404) == 1
    assert scrape.requests("unmatched", "GET", 404) == 1
    assert scrape.requests("/models", "GET", 401) == 1


def test_a_route_is_a_template_and_never_a_path(scrape: Scrape) -> None:
    routes = " ".join(labels["route"] for labels in scrape.labels("likeness_requests_total"))
    assert not re.search(r"club|hopper|nowhere|nothing|secret-path", routes)


def test_durations_are_counted_with_their_requests_and_stages(scrape: Scrape) -> None:
    assert scrape("likeness_request_seconds_count", route="/verify") == 3
    assert 0 < scrape("likeness_request_seconds_sum", route="/verify") < 60
    assert scrape("likeness_request_seconds_bucket", route="/verify", le="+Inf") == 3
    assert {labels["stage"] for labels in scrape.labels("likeness_stage_seconds_count")} == set(STAGES)
    assert scrape("likeness_stage_seconds_count", stage="decode") >= 10
    assert all(scrape("likeness_stage_seconds_sum", stage=stage) >= 0 for stage in STAGES)


def test_queues_are_empty_after_the_traffic_and_have_a_limit(scrape: Scrape) -> None:
    assert [scrape("likeness_queue_depth", queue=queue) for queue in QUEUES] == [0, 0, 0, 0]
    assert all(scrape("likeness_queue_limit", queue=queue) > 0 for queue in QUEUES)


def test_faces_and_batches_are_counted(scrape: Scrape) -> None:
    assert scrape("likeness_batch_faces_sum") >= 6
    assert scrape("likeness_faces_found_sum") >= 11
    assert scrape("likeness_faces_found_bucket", le="0.0") + scrape("likeness_faces_found_bucket", le="0") == 1


def test_rejections_and_problems_are_counted_by_code(scrape: Scrape) -> None:
    assert scrape("likeness_images_rejected_total", reason="invalid_image") == 1
    assert scrape("likeness_images_rejected_total", reason="face_not_found") == 1
    codes = ("invalid_image", "face_not_found", "not_found", "unauthorized", "internal_error")
    assert [scrape("likeness_problems_total", code=code) for code in codes] == [1, 1, 2, 1, 0]


def test_distances_are_counted_by_their_verdict(scrape: Scrape) -> None:
    counts = [scrape("likeness_verification_distance_count", match=match) for match in ("true", "false")]
    sums = [scrape("likeness_verification_distance_sum", match=match) for match in ("true", "false")]
    assert counts == [1, 1]
    assert 0 < sums[0] < sums[1] < 4


def test_the_service_its_process_and_its_galleries_have_their_gauges(scrape: Scrape) -> None:
    (build,) = scrape.labels("likeness_build_info")
    assert build.keys() == {"version", "model", "digest", "provider", "runtime"}
    assert build["digest"].startswith("sha256:")
    assert scrape("likeness_build_info", **build) == 1
    assert scrape("likeness_ready") == 1
    assert scrape("process_resident_memory_bytes") > 1e7
    assert scrape("python_gc_collections_total", generation="0") > 0
    assert scrape("likeness_gallery_subjects", gallery="club") == 1
    assert scrape("likeness_gallery_faces", gallery="club") == 2
    assert {"likeness_requests_in_flight", "likeness_faces_expired_total"} <= {key[0] for key in scrape.values}


def test_no_subject_key_or_file_name_is_in_it(scrape: Scrape) -> None:
    assert not re.search(r"hopper|lk_|photo\.jpg|address", scrape.text)
