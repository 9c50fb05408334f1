"""GET /metrics under the names that dashboards are built on, with values that the traffic explains."""

import re

import pytest

from .contract import answered
from .likeness import at_once
from .operating import new_keys, with_key
from .photos import another, collins, hopper, jpeg, noise, png, side_by_side
from .server import Server

HOPPER = jpeg(hopper())
SAMPLE = re.compile(r"^([a-zA-Z_:]+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
STAGES = ("decode", "detect", "align", "embed", "queue")
QUEUES = ("photos", "faces", "store")
FACES = "/galleries/{gallery}/subjects/{subject}/faces"


def samples(text):
    """Value by name and labels, as in `likeness_queue_depth{queue="faces"}` with the labels in order."""
    return {
        (name, *sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or ""))): float(value)
        for name, labels, value in SAMPLE.findall(text)
    }


class Scrape:
    def __init__(self, text):
        self.values = samples(text)
        self.text = text

    def __call__(self, name, **labels):
        return self.values.get((name, *sorted(labels.items())), 0.0)

    def labels(self, name):
        return [dict(key[1:]) for key in self.values if key[0] == name]


@pytest.fixture(scope="module")
def scrape(tmp_path_factory):
    """What a scraper reads after this traffic and no other."""
    data_dir = tmp_path_factory.mktemp("metrics") / "data"
    admin, metrics = new_keys(data_dir, ["--scopes", "admin"], ["--scopes", "metrics"])
    with Server(data_dir) as server, with_key(server, admin).http as http:
        likeness = with_key(server, admin)
        with likeness.http, with_key(server, metrics).http as scraper:
            answered(likeness.verify(HOPPER, another(hopper())))
            answered(likeness.verify(HOPPER, jpeg(collins())))
            answered(likeness.detect(jpeg(side_by_side(hopper(), collins()))))
            answered(likeness.enroll("club", "hopper", HOPPER), 201)
            answered(likeness.enroll("club", "hopper", another(hopper())), 201)
            likeness.detect(b"this is no image")
            likeness.verify(HOPPER, png(noise()))
            http.get("/galleries/nowhere")
            http.get("/nothing/secret-path")
            scraper.get("/models", headers={"X-API-Key": "lk_no_key"})
            at_once([lambda: answered(likeness.detect(HOPPER))] * 3)
            answer = scraper.get("/metrics")
            assert answer.headers["content-type"].startswith("text/plain")
            yield Scrape(answer.text)


def test_requests_are_counted_by_route_method_and_status(scrape):
    def requests(route, method, status):
        return scrape("likeness_requests_total", route=route, method=method, status=str(status))

    assert requests("/verify", "POST", 200) == 2
    assert requests("/verify", "POST", 422) == 1
    assert requests("/detect", "POST", 200) == 4
    assert requests("/detect", "POST", 422) == 1
    assert requests(FACES, "POST", 201) == 2
    assert requests("/galleries/{gallery}", "GET", 404) == 1
    assert requests("unmatched", "GET", 404) == 1
    assert requests("/models", "GET", 401) == 1


def test_a_route_is_a_template_and_never_a_path(scrape):
    routes = " ".join(labels["route"] for labels in scrape.labels("likeness_requests_total"))
    assert not re.search(r"club|hopper|nowhere|nothing|secret-path", routes)


def test_durations_are_counted_with_their_requests(scrape):
    assert scrape("likeness_request_seconds_count", route="/verify") == 3
    assert 0 < scrape("likeness_request_seconds_sum", route="/verify") < 60
    assert scrape("likeness_request_seconds_bucket", route="/verify", le="+Inf") == 3


def test_every_stage_has_its_durations(scrape):
    assert {labels["stage"] for labels in scrape.labels("likeness_stage_seconds_count")} == set(STAGES)
    assert scrape("likeness_stage_seconds_count", stage="decode") >= 10
    assert all(scrape("likeness_stage_seconds_sum", stage=stage) >= 0 for stage in STAGES)


def test_queues_are_empty_after_the_traffic_and_have_a_limit(scrape):
    assert [scrape("likeness_queue_depth", queue=queue) for queue in QUEUES] == [0, 0, 0]
    assert all(scrape("likeness_queue_limit", queue=queue) > 0 for queue in QUEUES)


def test_faces_and_batches_are_counted(scrape):
    assert scrape("likeness_batch_faces_sum") >= 6
    assert scrape("likeness_faces_found_sum") >= 11
    assert scrape("likeness_faces_found_bucket", le="0.0") + scrape("likeness_faces_found_bucket", le="0") == 1


def test_rejections_and_problems_are_counted_by_code(scrape):
    assert scrape("likeness_images_rejected_total", reason="invalid_image") == 1
    assert scrape("likeness_images_rejected_total", reason="face_not_found") == 1
    codes = ("invalid_image", "face_not_found", "not_found", "unauthorized", "internal_error")
    assert [scrape("likeness_problems_total", code=code) for code in codes] == [1, 1, 2, 1, 0]


def test_distances_are_told_apart_by_their_verdict(scrape):
    counts = [scrape("likeness_verification_distance_count", match=match) for match in ("true", "false")]
    sums = [scrape("likeness_verification_distance_sum", match=match) for match in ("true", "false")]
    assert counts == [1, 1]
    assert 0 < sums[0] < sums[1] < 4


def test_galleries_have_their_sizes(scrape):
    assert scrape("likeness_gallery_subjects", gallery="club") == 1
    assert scrape("likeness_gallery_faces", gallery="club") == 2


def test_what_runs_is_named(scrape):
    (build,) = scrape.labels("likeness_build_info")
    assert build.keys() == {"version", "model", "digest", "provider", "runtime"}
    assert build["digest"].startswith("sha256:")
    assert scrape("likeness_build_info", **build) == 1
    assert scrape("likeness_ready") == 1
    assert scrape("process_resident_memory_bytes") > 1e7
    assert scrape("python_gc_collections_total", generation="0") > 0


def test_every_name_of_the_contract_is_there_before_anything_happened_to_it(scrape):
    names = ["likeness_requests_in_flight", "likeness_faces_expired_total"]
    assert {key[0] for key in scrape.values} >= set(names)


def test_no_subject_key_or_file_name_is_in_it(scrape):
    assert not re.search(r"hopper|lk_|photo\.jpg|address", scrape.text)
