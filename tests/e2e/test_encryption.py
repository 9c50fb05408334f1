"""Encryption keeps biometric data out of the files; keys can be changed without losing a face."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.answers import answered
from tests.support.api import Api, part
from tests.support.commands import copied, encryption_key, found, ran, refused, run, traces_of
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


def test_a_gallery_in_clear_is_not_served_as_if_it_were_sealed(clear: Filled) -> None:
    assert "rotate" in refused(clear.data_dir, "serve", LIKENESS_PORT="0", **sealed_with(OLD))


def test_a_gallery_in_clear_can_be_sealed(clear: Filled, tmp_path: Path) -> None:
    data_dir = copied(clear.data_dir, tmp_path / "copy")
    ran(data_dir, "gallery", "rotate", **sealed_with(OLD))
    assert found(clear.traces, data_dir) == set()
    refused(data_dir, "gallery", "list")
    assert identified(data_dir, tmp_path, **sealed_with(OLD)) == ["hopper"]


def test_a_new_key_takes_the_place_of_the_old_one(sealed: Filled, tmp_path: Path) -> None:
    data_dir = copied(sealed.data_dir, tmp_path / "copy")
    ran(data_dir, "gallery", "rotate", **sealed_with(NEW, OTHER, OLD))
    refused(data_dir, "gallery", "list", **sealed_with(OLD))
    (file := tmp_path / "key").write_text(f"{NEW}\n")
    assert identified(data_dir, tmp_path, LIKENESS_ENCRYPTION_KEY_FILE=str(file)) == ["hopper"]


def test_a_file_may_hold_several_keys_a_line_each(sealed: Filled, tmp_path: Path) -> None:
    (file := tmp_path / "keys").write_text(f"{NEW}\n{OLD}\n")
    data_dir = copied(sealed.data_dir, tmp_path / "copy")
    assert identified(data_dir, tmp_path, LIKENESS_ENCRYPTION_KEY_FILE=str(file)) == ["hopper"]


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


MOVES = {
    "vectors swapped": "UPDATE faces SET vector = (SELECT vector FROM faces AS other WHERE other.id != faces.id)",
    "a face given to another subject": "UPDATE faces SET subject = 'collins' WHERE subject = 'hopper'",
    "a bit turned": "UPDATE faces SET vector = CAST(substr(vector, 1, length(vector) - 1) || x'00' AS BLOB)",
}


def altered(gallery: Filled, to: Path, statement: str) -> Path:
    data_dir = copied(gallery.data_dir, to)
    with closing(sqlite3.connect(data_dir / "gallery.sqlite3")) as database, database:
        database.execute(statement)
    return data_dir


def test_an_altered_value_is_left_out_and_named_and_everyone_else_is_served(sealed: Filled, tmp_path: Path) -> None:
    data_dir = altered(sealed, tmp_path / "copy", MOVES["vectors swapped"])
    with Server(data_dir, **sealed_with(OLD)) as server, Api.of(server) as api:
        assert [api.names(photo, "staff") for photo in (HOPPER, COLLINS)] == [[], ["collins"]]
        assert [len(api.face_ids("staff", subject)) for subject in ("hopper", "collins")] == [0, 1]
    assert "subject 'hopper', face '" in server.log.read_text()


def test_a_repair_removes_an_altered_value(sealed: Filled, tmp_path: Path) -> None:
    data_dir = altered(sealed, tmp_path / "copy", MOVES["vectors swapped"])
    check = run(data_dir, "gallery", "check", "--json", **sealed_with(OLD))
    repaired = json.loads(ran(data_dir, "gallery", "repair", "--yes", "--json", **sealed_with(OLD)))
    assert check.returncode == 2
    assert [each["subject_id"] for each in json.loads(check.stdout)["damage"]] == ["hopper"]
    assert repaired["removed"] == json.loads(check.stdout)["damage"]
    assert "no damage" in ran(data_dir, "gallery", "check", **sealed_with(OLD))


@pytest.mark.parametrize("statement", MOVES.values(), ids=MOVES)
def test_a_sealed_value_that_was_moved_or_altered_is_no_match(sealed: Filled, tmp_path: Path, statement: str) -> None:
    data_dir = altered(sealed, tmp_path / "copy", statement)
    (photo := tmp_path / "hopper.jpg").write_bytes(HOPPER)
    done = run(data_dir, "identify", photo, "--gallery", "staff", "--json", **sealed_with(OLD))
    assert done.returncode == 1, done
    assert "subject '" in done.stderr
