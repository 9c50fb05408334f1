"""What is kept of one subject can be handed out in full, and erased so that no file still holds it."""

import pytest

from .contract import answered, assert_is_face, problem, said
from .likeness import subject_path
from .operating import audit, found, id_of, traces_of
from .photos import another, collins, hopper, jpeg

COLLINS = jpeg(collins())


@pytest.fixture
def photo(gallery):
    """One whose vector no other test has enrolled."""
    return jpeg(hopper().crop((int(gallery.split("-")[1]) % 50, 0, 512, 600)))


@pytest.fixture
def enrolled(admin, gallery, photo):
    """Grace Hopper with metadata and one face, somebody else beside her; and her export."""
    answered(admin.enroll(gallery, "hopper", photo, key="once"), 201)
    answered(admin.describe(gallery, "hopper", {"name": f"Grace of {gallery}."}))
    answered(admin.enroll(gallery, "collins", COLLINS), 201)
    return answered(admin.http.get(f"{subject_path(gallery, 'hopper')}/export"))


def test_an_export_holds_all_that_is_kept(admin, enrolled, gallery, keys, photo):
    (face,) = enrolled["faces"]
    (again,) = answered(admin.embed(photo))["results"][0]["faces"]
    assert (enrolled["gallery"], enrolled["subject_id"]) == (gallery, "hopper")
    assert enrolled["metadata"] == {"name": f"Grace of {gallery}."}
    assert said(enrolled["created_at"])
    assert enrolled["model"] == answered(admin.http.get(f"/galleries/{gallery}"))["model"]
    assert_is_face(face)
    assert face["face_id"] == admin.face_ids(gallery, "hopper")[0]
    assert face["embedding"] == pytest.approx(again["embedding"], abs=1e-5)
    assert [event["action"] for event in enrolled["events"]] == ["face.enroll", "subject.put", "subject.export"]
    assert {event["by"] for event in enrolled["events"]} == {f"key:{id_of(keys['admin'])}"}


def test_an_export_tells_nothing_of_others(admin, enrolled, gallery):
    text = str(enrolled)
    assert "collins" not in text
    assert admin.face_ids(gallery, "collins")[0] not in text


@pytest.mark.parametrize("path", ["/galleries/nowhere/subjects/hopper", "/galleries/default/subjects/nobody"])
def test_nobody_has_no_export_and_cannot_be_erased(admin, path):
    problem(admin.http.get(f"{path}/export"), 404, "not_found")
    problem(admin.http.delete(path), 404, "not_found")


def test_an_erased_subject_is_in_no_file_and_no_answer(admin, enrolled, gallery, guarded, photo):
    traces = traces_of(enrolled)
    assert found(traces, guarded.data_dir) >= {"vector", "box", "landmark", "metadata"}
    admin.delete(subject_path(gallery, "hopper"))
    assert found(traces, guarded.data_dir) == set()
    problem(admin.http.get(f"{subject_path(gallery, 'hopper')}/export"), 404, "not_found")
    assert admin.candidates(another(hopper()), gallery) == []
    problem(admin.verify_subject(gallery, "hopper", photo), 404, "not_found")
    assert list(admin.subject_pages(gallery, 10)) == [["collins"]]


@pytest.mark.parametrize("of", ["/subjects/hopper/faces/{face}", "/subjects/hopper", ""])
def test_whatever_is_deleted_with_a_face_takes_its_bytes_along(admin, enrolled, gallery, guarded, of):
    admin.delete(f"/galleries/{gallery}{of.format(face=enrolled['faces'][0]['face_id'])}")
    assert found(traces_of(enrolled), guarded.data_dir) <= {"metadata"}


@pytest.mark.usefixtures("enrolled")
def test_the_audit_log_remembers_who_erased_whom(admin, gallery, guarded, keys):
    admin.delete(subject_path(gallery, "hopper"))
    last = audit(guarded.data_dir, "--gallery", gallery, "--subject", "hopper")[-1]
    assert last["action"] == "subject.delete"
    assert last["by"] == f"key:{id_of(keys['admin'])}"


def test_an_answer_kept_for_a_retry_is_erased_with_its_subject(admin, enrolled, gallery, photo):
    admin.delete(subject_path(gallery, "hopper"))
    answered(admin.enroll(gallery, "hopper", photo, key="once"), 201)
    assert admin.face_ids(gallery, "hopper") != [enrolled["faces"][0]["face_id"]]
