"""With an encryption key nothing biometric lies in the files in clear; keys can be changed without losing a face."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from .contract import answered
from .likeness import part
from .operating import copied, encryption_key, found, ran, refused, run, traces_of, with_key
from .photos import another, collins, hopper, jpeg
from .server import Server

OLD, NEW, OTHER = encryption_key(), encryption_key(), encryption_key()
HOPPER = jpeg(hopper())


def sealed_with(*keys):
    return {"LIKENESS_ENCRYPTION_KEY": ",".join(keys)}


class FilledGallery(NamedTuple):
    data_dir: Path
    while_running: set
    afterwards: set


def filled(data_dir, **settings):
    """A gallery of two people with metadata, and what of one of them could be read in its files."""
    with Server(data_dir, **settings) as server:
        likeness = with_key(server, "")
        with likeness.http:
            answered(likeness.enroll("staff", "hopper", HOPPER, key="once"), 201)
            answered(likeness.enroll("staff", "collins", jpeg(collins())), 201)
            answered(likeness.describe("staff", "hopper", {"name": "Grace Brewster"}))
            traces = traces_of(answered(likeness.http.get("/galleries/staff/subjects/hopper/export")))
        while_running = found(traces, data_dir)
    return FilledGallery(data_dir, while_running, found(traces, data_dir)), traces


@pytest.fixture(scope="module")
def clear(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("clear") / "data")


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("sealed") / "data", **sealed_with(OLD))[0]


def identified(data_dir, tmp_path, **settings):
    """Whom the command line names on a second photo of Grace Hopper."""
    (photo := tmp_path / "again.jpg").write_bytes(another(hopper()))
    done = run(data_dir, "identify", photo, "--gallery", "staff", "--json", **settings)
    assert done.returncode == 0, done
    return [candidate["subject_id"] for face in json.loads(done.stdout)["faces"] for candidate in face["candidates"]]


def test_without_a_key_the_traces_are_there_to_be_found(clear):
    gallery, traces = clear
    assert gallery.while_running >= {"vector", "box", "landmark", "metadata"}
    assert gallery.afterwards == gallery.while_running
    assert found({"vector": traces["vector"]}, gallery.data_dir) == {"vector"}


def test_with_a_key_none_of_them_is(sealed):
    assert sealed.while_running == set()
    assert sealed.afterwards == set()


@pytest.mark.parametrize("settings", [{}, sealed_with(NEW), sealed_with(OLD[:-4])], ids=range(3))
def test_without_its_key_a_sealed_gallery_is_not_served(sealed, settings):
    status, words = Server(sealed.data_dir, **settings).fail_to_start()
    assert status == 2
    assert len(words.strip().splitlines()) == 1
    assert OLD not in words


def test_a_gallery_in_clear_is_not_served_as_if_it_were_sealed(clear):
    assert "rotate" in refused(clear[0].data_dir, "serve", LIKENESS_PORT="0", **sealed_with(OLD))


def test_a_gallery_in_clear_can_be_sealed(clear, tmp_path):
    data_dir = copied(clear[0].data_dir, tmp_path / "copy")
    ran(data_dir, "gallery", "rotate", **sealed_with(OLD))
    assert found(clear[1], data_dir) == set()
    refused(data_dir, "gallery", "list")
    assert identified(data_dir, tmp_path, **sealed_with(OLD)) == ["hopper"]


def test_a_new_key_takes_the_place_of_the_old_one(sealed, tmp_path):
    data_dir = copied(sealed.data_dir, tmp_path / "copy")
    ran(data_dir, "gallery", "rotate", **sealed_with(NEW, OTHER, OLD))
    refused(data_dir, "gallery", "list", **sealed_with(OLD))
    (file := tmp_path / "key").write_text(f"{NEW}\n")
    assert identified(data_dir, tmp_path, LIKENESS_ENCRYPTION_KEY_FILE=str(file)) == ["hopper"]


def test_a_file_may_hold_several_keys_a_line_each(sealed, tmp_path):
    (file := tmp_path / "keys").write_text(f"{NEW}\n{OLD}\n")
    data_dir = copied(sealed.data_dir, tmp_path / "copy")
    assert identified(data_dir, tmp_path, LIKENESS_ENCRYPTION_KEY_FILE=str(file)) == ["hopper"]


def test_a_rotation_while_a_server_runs_loses_nothing_that_the_server_acknowledged(sealed, tmp_path):
    data_dir = copied(sealed.data_dir, tmp_path / "copy")
    with Server(data_dir, **sealed_with(OLD)) as server, with_key(server, "").http as http:
        rotated = run(data_dir, "gallery", "rotate", **sealed_with(NEW, OLD))
        http.post("/galleries/staff/subjects/late/faces", files=[part("image", HOPPER)])
        acknowledged = http.get("/galleries/staff/subjects/late").is_success
    working = sealed_with([NEW, OLD][rotated.returncode == 2])
    assert "no damage" in ran(data_dir, "gallery", "check", **working)
    assert ("late" in identified(data_dir, tmp_path, **working)) == acknowledged


MOVES = {
    "vectors swapped": "UPDATE faces SET vector = (SELECT vector FROM faces AS other WHERE other.id != faces.id)",
    "a face given to another subject": "UPDATE faces SET subject = 'collins' WHERE subject = 'hopper'",
    "a bit turned": "UPDATE faces SET vector = CAST(substr(vector, 1, length(vector) - 1) || x'00' AS BLOB)",
}


def altered(gallery, to, statement):
    data_dir = copied(gallery.data_dir, to)
    with closing(sqlite3.connect(data_dir / "gallery.sqlite3")) as database, database:
        database.execute(statement)
    return data_dir


def test_an_altered_value_is_left_out_and_named_and_everyone_else_is_served(sealed, tmp_path):
    data_dir = altered(sealed, tmp_path / "copy", MOVES["vectors swapped"])
    with Server(data_dir, **sealed_with(OLD)) as server:
        likeness = with_key(server, "")
        with likeness.http:
            named = [likeness.candidates(photo, "staff") for photo in (HOPPER, jpeg(collins()))]
            faces = [likeness.face_ids("staff", subject) for subject in ("hopper", "collins")]
        log = server.log.read_text()
    assert [[each["subject_id"] for each in candidates] for candidates in named] == [[], ["collins"]]
    assert [len(each) for each in faces] == [0, 1]
    assert "subject 'hopper', face '" in log


def test_a_repair_removes_an_altered_value(sealed, tmp_path):
    data_dir = altered(sealed, tmp_path / "copy", MOVES["vectors swapped"])
    check = run(data_dir, "gallery", "check", "--json", **sealed_with(OLD))
    repaired = json.loads(ran(data_dir, "gallery", "repair", "--yes", "--json", **sealed_with(OLD)))
    assert check.returncode == 2
    assert [each["subject_id"] for each in json.loads(check.stdout)["damage"]] == ["hopper"]
    assert repaired["removed"] == json.loads(check.stdout)["damage"]
    assert "no damage" in ran(data_dir, "gallery", "check", **sealed_with(OLD))


@pytest.mark.parametrize("statement", MOVES.values(), ids=MOVES)
def test_a_sealed_value_that_was_moved_or_altered_is_no_match(sealed, tmp_path, statement):
    data_dir = altered(sealed, tmp_path / "copy", statement)
    (photo := tmp_path / "hopper.jpg").write_bytes(HOPPER)
    done = run(data_dir, "identify", photo, "--gallery", "staff", "--json", **sealed_with(OLD))
    assert done.returncode == 1, done
    assert "subject '" in done.stderr
