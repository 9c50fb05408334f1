"""Faces enrolled longer ago than LIKENESS_RETENTION are erased, and so is a subject left without a face."""

import time

import pytest

from .contract import answered
from .operating import audit, eventually, found, refused, traces_of, with_key
from .photos import collins, hopper, jpeg
from .server import Server

HOPPER, COLLINS = jpeg(hopper()), jpeg(collins())
RETENTION = 3.0


@pytest.fixture(scope="module")
def expired(tmp_path_factory):
    """A server on which Grace Hopper's face has expired and Eileen Collins' second one has not."""
    with Server(tmp_path_factory.mktemp("expired"), LIKENESS_RETENTION=f"{RETENTION:.0f}s") as server:
        likeness = with_key(server, "")
        with likeness.http:
            started = time.monotonic()
            answered(likeness.enroll("club", "hopper", HOPPER), 201)
            answered(likeness.describe("club", "hopper", {"name": "Grace Brewster"}))
            traces = traces_of(answered(likeness.http.get("/galleries/club/subjects/hopper/export")))
            assert found(traces, server.data_dir) != set()
            time.sleep(max(0.0, started + RETENTION - time.monotonic()) / 2)
            answered(likeness.enroll("club", "collins", COLLINS), 201)
            assert eventually(lambda: likeness.http.get("/galleries/club/subjects/hopper").status_code == 404)
            yield server, likeness, traces, time.monotonic() - started


def test_a_face_is_kept_as_long_as_was_said_and_not_much_longer(expired):
    assert RETENTION <= expired[3] < 3 * RETENTION


def test_an_expired_person_is_in_no_answer_and_no_file(expired):
    server, likeness, traces, _ = expired
    assert likeness.candidates(HOPPER, "club") == []
    assert found(traces, server.data_dir) == set()


def test_the_audit_log_says_that_retention_did_it(expired):
    (entry,) = [e for e in audit(expired[0].data_dir, "--subject", "hopper") if e["action"] == "subject.expire"]
    assert entry["by"] == "retention"


def test_a_counter_tells_how_many(expired):
    likeness = expired[1]
    assert eventually(lambda: list(likeness.subject_pages("club", 10)) == [[]])
    assert "likeness_faces_expired_total 2.0" in likeness.http.get("/metrics").text


def test_a_subject_that_waits_for_its_first_face_is_not_erased_at_once(expired):
    likeness = expired[1]
    answered(likeness.describe("club", "new", {}), 201)
    time.sleep(RETENTION / 2)
    answered(likeness.http.get("/galleries/club/subjects/new"))


@pytest.mark.parametrize("duration", ["soon", "-1d"])
def test_a_duration_that_is_none_stops_the_start(tmp_path, duration):
    assert "LIKENESS_RETENTION" in refused(tmp_path / "data", "serve", LIKENESS_RETENTION=duration)


def test_an_empty_duration_is_none(tmp_path):
    with Server(tmp_path / "data", LIKENESS_RETENTION="") as server:
        assert server.is_ready()
