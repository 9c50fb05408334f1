"""Faces enrolled longer ago than LIKENESS_RETENTION are erased, and so is a subject left without a face."""

import time
from pathlib import Path

from tests.support.answers import answered
from tests.support.api import Api
from tests.support.commands import audit, eventually, found, refused, traces_of
from tests.support.photos import COLLINS, HOPPER
from tests.support.server import Server

RETENTION = 3.0


def test_a_face_is_erased_everywhere_when_it_expires_and_one_enrolled_later_is_not_yet(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with Server(data_dir, LIKENESS_RETENTION=f"{RETENTION:.0f}s") as server, Api.of(server) as api:
        started = time.monotonic()
        answered(api.enroll("club", "hopper", HOPPER), 201)
        answered(api.describe("club", "hopper", {"name": "Grace Brewster"}))
        traces = traces_of(answered(api.http.get("/galleries/club/subjects/hopper/export")))
        assert found(traces, data_dir) != set()
        time.sleep(max(0.0, started + RETENTION - time.monotonic()) / 2)
        answered(api.enroll("club", "collins", COLLINS), 201)
        assert eventually(lambda: api.http.get("/galleries/club/subjects/hopper").status_code == 404)
        assert RETENTION <= time.monotonic() - started < 3 * RETENTION
        assert api.candidates(HOPPER, "club") == []
        assert found(traces, data_dir) == set()
        entries = audit(data_dir, "--subject", "hopper")
        assert [entry["by"] for entry in entries if entry["action"] == "subject.expire"] == ["retention"]
        assert eventually(lambda: list(api.subject_pages("club", 10)) == [[]])
        assert eventually(lambda: api.metric("likeness_faces_expired_total") == 2)  # counted once the file is cleaned
        answered(api.describe("club", "new", {}), 201)  # a subject that waits for its first face
        time.sleep(RETENTION / 2)
        answered(api.http.get("/galleries/club/subjects/new"))


def test_a_bad_duration_stops_the_start_and_an_empty_one_means_none(tmp_path: Path) -> None:
    assert "LIKENESS_RETENTION" in refused(tmp_path / "data", "serve", LIKENESS_RETENTION="-1d")
    with Server(tmp_path / "data", LIKENESS_RETENTION="") as server:
        assert server.is_ready()
