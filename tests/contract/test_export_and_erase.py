"""All data of one subject can be exported, and erased so that no file still holds it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from app.bootstrap.storage import GALLERY_FILE
from tests.support.answers import Body, answered, assert_is_face, is_text, problem
from tests.support.api import Api, subject_path
from tests.support.commands import eventually, found, id_of, traces_of
from tests.support.photos import COLLINS, HOPPER_AGAIN, hopper, jpeg

from .conftest import Service


@pytest.fixture
def photo(gallery: str) -> bytes:
    """A photo with a vector that no other test has enrolled."""
    return jpeg(hopper().crop((1 + int(gallery.split("-")[1]) % 49, 0, 512, 600)))


@pytest.fixture
def enrolled(api: Api, gallery: str, photo: bytes) -> Body:
    """The export of Grace Hopper, who has metadata and one face; somebody else is beside her."""
    answered(api.enroll(gallery, "hopper", photo, key="once"), 201)
    answered(api.describe(gallery, "hopper", {"name": f"Grace of {gallery}."}))
    answered(api.enroll(gallery, "collins", COLLINS), 201)
    return answered(api.http.get(f"{subject_path(gallery, 'hopper')}/export"))


def test_an_export_holds_all_data_of_one_subject_and_none_of_others(
    api: Api, enrolled: Body, gallery: str, keys: dict[str, str], photo: bytes
) -> None:
    (face,) = enrolled["faces"]
    (again,) = answered(api.embed(photo))["results"][0]["faces"]
    assert (enrolled["gallery"], enrolled["subject_id"]) == (gallery, "hopper")
    assert enrolled["metadata"] == {"name": f"Grace of {gallery}."}
    assert is_text(enrolled["created_at"])
    assert enrolled["model"] == answered(api.http.get(f"/galleries/{gallery}"))["model"]
    assert_is_face(face)
    assert [face["face_id"]] == api.face_ids(gallery, "hopper")
    assert face["embedding"] == pytest.approx(again["embedding"], abs=1e-5)
    assert face["threshold_offset"] == pytest.approx(again["threshold_offset"], abs=1e-5)
    assert [event["action"] for event in enrolled["events"]] == ["face.enroll", "subject.put", "subject.export"]
    assert {event["by"] for event in enrolled["events"]} == {f"key:{id_of(keys['admin'])}"}
    (saved,) = enrolled["saved_responses"]
    assert (saved["idempotency_key"], len(saved["request_digest"])) == ("once", 64)
    assert saved["response"]["enrolled"][0]["face_id"] == face["face_id"]
    assert "collins" not in str(enrolled)
    assert api.face_ids(gallery, "collins")[0] not in str(enrolled)


@pytest.mark.parametrize("path", ["/galleries/nowhere/subjects/hopper", "/galleries/default/subjects/nobody"])
def test_nobody_has_no_export_and_cannot_be_erased(api: Api, path: str) -> None:
    problem(api.http.get(f"{path}/export"), 404, "not_found")
    problem(api.http.delete(path), 404, "not_found")


def test_an_erased_subject_is_in_no_file_and_no_answer(
    api: Api, enrolled: Body, gallery: str, service: Service, photo: bytes
) -> None:
    traces = traces_of(enrolled)
    assert found(traces, service.data_dir) >= {"vector", "box", "landmark", "metadata"}
    api.delete(subject_path(gallery, "hopper"))
    assert found(traces, service.data_dir) == set()
    problem(api.http.get(f"{subject_path(gallery, 'hopper')}/export"), 404, "not_found")
    assert api.candidates(HOPPER_AGAIN, gallery) == []
    problem(api.verify_subject(gallery, "hopper", photo), 404, "not_found")
    assert list(api.subject_pages(gallery, 10)) == [["collins"]]


@pytest.mark.parametrize("of", ["/subjects/hopper/faces/{face}", "/subjects/hopper", ""])
def test_a_deletion_takes_the_bytes_of_its_faces_along(
    api: Api, enrolled: Body, gallery: str, service: Service, of: str
) -> None:
    api.delete(f"/galleries/{gallery}{of.format(face=enrolled['faces'][0]['face_id'])}")
    assert found(traces_of(enrolled), service.data_dir) <= {"metadata"}


def test_an_answer_kept_for_a_retry_is_erased_with_its_subject(
    api: Api, enrolled: Body, gallery: str, photo: bytes
) -> None:
    api.delete(subject_path(gallery, "hopper"))
    answered(api.enroll(gallery, "hopper", photo, key="once"), 201)
    assert api.face_ids(gallery, "hopper") != [enrolled["faces"][0]["face_id"]]


@pytest.fixture
def reader(service: Service, enrolled: Body) -> Iterator[sqlite3.Connection]:
    """A backup that began before the deletion, and needs the pages as they were."""
    with closing(sqlite3.connect(service.data_dir / GALLERY_FILE, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        assert connection.execute("SELECT count(*) FROM faces WHERE id = ?", (enrolled["faces"][0]["face_id"],))
        assert connection.execute("SELECT count(*) FROM faces").fetchone()[0]
        yield connection


@pytest.mark.parametrize("of", ["/subjects/hopper/faces/{face}", "/subjects/hopper", ""])
def test_a_deletion_that_a_reader_delays_is_pending_until_the_reader_has_ended(
    api: Api, enrolled: Body, gallery: str, service: Service, reader: sqlite3.Connection, of: str
) -> None:
    def metric() -> bool:
        return "likeness_erasures_pending 1.0" in api.http.get("/metrics").text

    traces = traces_of(enrolled)
    answer = api.http.delete(f"/galleries/{gallery}{of.format(face=enrolled['faces'][0]['face_id'])}")
    assert (answer.status_code, answer.json()) == (202, {"erased": "pending"})
    assert answered(api.http.get("/readyz"))["erasures_pending"] == 1
    assert metric()
    assert "vector" in found(traces, service.data_dir)
    reader.execute("COMMIT")

    assert eventually(lambda: answered(api.http.get("/readyz"))["erasures_pending"] == 0)
    assert found(traces, service.data_dir) <= {"metadata"}
    assert not metric()
