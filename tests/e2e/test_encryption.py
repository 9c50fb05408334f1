"""Encryption keeps biometric data out of the files; keys can be changed without losing a face."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.answers import answered
from tests.support.api import Api, part
from tests.support.commands import copied, encryption_key, found, ran, run, traces_of
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN
from tests.support.server import Server

OLD, NEW, OTHER = encryption_key(), encryption_key(), encryption_key()


def sealed_with(*keys: str) -> dict[str, str]:
    return {"LIKENESS_ENCRYPTION_KEY": ",".join(keys)}


class Filled(NamedTuple):
    """A gallery of two people, the traces of one of them, and which of the traces could be read in its files."""

    data_dir: Path
    traces: dict[str, bytes]
    while_running: set[str]
    afterwards: set[str]


def filled(data_dir: Path, **settings: str) -> Filled:
    with Server(data_dir, **settings) as server, Api.of(server) as api:
        answered(api.enroll("staff", "hopper", HOPPER, key="once"), 201)
        answered(api.enroll("staff", "collins", COLLINS), 201)
        answered(api.describe("staff", "hopper", {"name": "Grace Brewster"}))
        traces = traces_of(answered(api.http.get("/galleries/staff/subjects/hopper/export")))
        while_running = found(traces, data_dir)
    return Filled(data_dir, traces, while_running, found(traces, data_dir))


@pytest.fixture(scope="module")
def clear(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    return filled(tmp_path_factory.mktemp("clear") / "data")


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    return filled(tmp_path_factory.mktemp("sealed") / "data", **sealed_with(OLD))


def identified(data_dir: Path, tmp_path: Path, **settings: str) -> list[str]:
    """Return the names that the command gives for a second photo of Grace Hopper."""
    (photo := tmp_path / "again.jpg").write_bytes(HOPPER_AGAIN)
    done = run(data_dir, "identify", photo, "--gallery", "staff", "--json", **settings)
    assert done.returncode == 0, done
    return [candidate["subject_id"] for face in json.loads(done.stdout)["faces"] for candidate in face["candidates"]]


def test_without_a_key_the_traces_are_in_the_files(clear: Filled) -> None:
    assert clear.while_running >= {"vector", "box", "landmark", "metadata"}
    assert clear.afterwards == clear.while_running


def test_with_a_key_no_trace_is(sealed: Filled) -> None:
    assert sealed.while_running == set()
    assert sealed.afterwards == set()


@pytest.mark.parametrize("settings", [{}, sealed_with(NEW), sealed_with(OLD[:-4])], ids=range(3))
def test_without_its_key_a_sealed_gallery_is_not_served(sealed: Filled, settings: dict[str, str]) -> None:
    words = Server(sealed.data_dir, **settings).refused()
    assert len(words.splitlines()) == 1
    assert OLD not in words


def test_a_rotation_while_a_server_runs_loses_nothing_that_the_server_acknowledged(
    sealed: Filled, tmp_path: Path
) -> None:
    data_dir = copied(sealed.data_dir, tmp_path / "copy")
    with Server(data_dir, **sealed_with(OLD)) as server, Api.of(server) as api:
        rotated = run(data_dir, "gallery", "rotate", **sealed_with(NEW, OLD))
        api.http.post("/galleries/staff/subjects/late/faces", files=[part("image", HOPPER)])
        acknowledged = api.http.get("/galleries/staff/subjects/late").is_success
    working = sealed_with([NEW, OLD][rotated.returncode == 2])
    assert "no damage" in ran(data_dir, "gallery", "check", **working)
    assert ("late" in identified(data_dir, tmp_path, **working)) == acknowledged


SWAP_VECTORS = "UPDATE faces SET vector = (SELECT vector FROM faces AS other WHERE other.id != faces.id)"


def test_an_altered_value_is_left_out_and_named_and_everyone_else_is_served(sealed: Filled, tmp_path: Path) -> None:
    data_dir = copied(sealed.data_dir, tmp_path / "copy")
    with closing(sqlite3.connect(data_dir / "gallery.sqlite3")) as database, database:
        database.execute(SWAP_VECTORS)
    with Server(data_dir, **sealed_with(OLD)) as server, Api.of(server) as api:
        assert [api.names(photo, "staff") for photo in (HOPPER, COLLINS)] == [[], ["collins"]]
        assert [len(api.face_ids("staff", subject)) for subject in ("hopper", "collins")] == [0, 1]
    assert "subject 'hopper', face '" in server.log.read_text()
