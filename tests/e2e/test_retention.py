"""Faces enrolled longer ago than LIKENESS_RETENTION are erased, and so is a subject left without a face."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.answers import answered
from tests.support.api import Api
from tests.support.commands import audit, eventually, found, refused, traces_of
from tests.support.photos import COLLINS, HOPPER
from tests.support.server import Server

RETENTION = 3.0


class Expired(NamedTuple):
    server: Server
    api: Api
    traces: dict[str, bytes]
    kept_for: float


@pytest.fixture(scope="module")
def expired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Expired]:
    """A server on which Grace Hopper's face has expired, and that of Eileen Collins, enrolled later, has not yet."""
    data_dir = tmp_path_factory.mktemp("expired") / "data"
    with Server(data_dir, LIKENESS_RETENTION=f"{RETENTION:.0f}s") as server, Api.of(server) as api:
        started = time.monotonic()
        answered(api.enroll("club", "hopper", HOPPER), 201)
        answered(api.describe("club", "hopper", {"name": "Grace Brewster"}))
        traces = traces_of(answered(api.http.get("/galleries/club/subjects/hopper/export")))
        assert found(traces, data_dir) != set()
        time.sleep(max(0.0, started + RETENTION - time.monotonic()) / 2)
        answered(api.enroll("club", "collins", COLLINS), 201)
        assert eventually(lambda: api.http.get("/galleries/club/subjects/hopper").status_code == 404)
        yield Expired(server, api, traces, time.monotonic() - started)


def test_a_face_is_kept_as_long_as_the_setting_allows_and_not_much_longer(expired: Expired) -> None:
    assert RETENTION <= expired.kept_for < 3 * RETENTION


def test_an_expired_person_is_in_no_answer_and_no_file(expired: Expired) -> None:
    assert expired.api.candidates(HOPPER, "club") == []
    assert found(expired.traces, expired.server.data_dir) == set()


def test_the_audit_log_names_retention_as_the_actor(expired: Expired) -> None:
    entries = audit(expired.server.data_dir, "--subject", "hopper")
    assert [entry["by"] for entry in entries if entry["action"] == "subject.expire"] == ["retention"]


def test_a_counter_shows_how_many_faces_expired(expired: Expired) -> None:
    assert eventually(lambda: list(expired.api.subject_pages("club", 10)) == [[]])
    assert expired.api.metric("likeness_faces_expired_total") == 2


def test_a_subject_that_waits_for_its_first_face_is_not_erased_at_once(expired: Expired) -> None:
    answered(expired.api.describe("club", "new", {}), 201)
    time.sleep(RETENTION / 2)
    answered(expired.api.http.get("/galleries/club/subjects/new"))


def test_a_bad_duration_stops_the_start_and_an_empty_one_means_none(tmp_path: Path) -> None:
    assert "LIKENESS_RETENTION" in refused(tmp_path / "data", "serve", LIKENESS_RETENTION="-1d")
    with Server(tmp_path / "data", LIKENESS_RETENTION="") as server:
        assert server.is_ready()
