"""Galleries: made, counted, kept apart, and gone when deleted."""

import pytest

from .contract import answered, identification, problem
from .likeness import subject_path
from .photos import collins, hopper, jpeg, variants

HOPPER, COLLINS = jpeg(hopper()), jpeg(collins())


def test_a_gallery_can_be_made_and_seen(likeness, gallery):
    likeness.create(gallery)
    assert answered(likeness.http.get(f"/galleries/{gallery}"))["id"] == gallery
    assert gallery in likeness.http.get("/galleries").text


def test_making_a_gallery_again_keeps_what_is_in_it(likeness, gallery):
    likeness.enroll(gallery, "hopper", HOPPER)
    likeness.create(gallery)
    assert len(likeness.candidates(HOPPER, gallery)) == 1


def test_a_gallery_counts_its_subjects_and_faces(likeness, gallery):
    likeness.enroll(gallery, "hopper", HOPPER, variants(hopper())["brighter"])
    likeness.enroll(gallery, "collins", COLLINS)
    body = answered(likeness.http.get(f"/galleries/{gallery}"))
    assert (body["subjects"], body["faces"]) == (2, 3)


def test_every_change_raises_the_revision(likeness, gallery):
    likeness.create(gallery)
    revisions = [identification(likeness.identify(HOPPER, gallery=gallery))["gallery"]["revision"]]
    for change in (lambda: likeness.enroll(gallery, "a", HOPPER), lambda: likeness.delete(subject_path(gallery, "a"))):
        change()
        revisions.append(identification(likeness.identify(HOPPER, gallery=gallery))["gallery"]["revision"])
    assert revisions == sorted(set(revisions))


def test_galleries_know_nothing_of_each_other(likeness, gallery, gallery_names):
    elsewhere = next(gallery_names)
    likeness.create(elsewhere)
    likeness.enroll(gallery, "hopper", HOPPER)
    assert likeness.candidates(HOPPER, elsewhere) == []
    problem(likeness.http.get(subject_path(elsewhere, "hopper")), 404, "not_found")


def test_a_deleted_gallery_is_gone_and_a_new_one_of_its_name_is_empty(likeness, gallery):
    likeness.enroll(gallery, "hopper", HOPPER)
    likeness.delete(f"/galleries/{gallery}")
    problem(likeness.http.get(f"/galleries/{gallery}"), 404, "not_found")
    problem(likeness.identify(HOPPER, gallery=gallery), 404, "not_found")
    likeness.create(gallery)
    assert likeness.candidates(HOPPER, gallery) == []
    problem(likeness.http.get(subject_path(gallery, "hopper")), 404, "not_found")


@pytest.mark.parametrize("path", ["", "/subjects", "/subjects/x", "/subjects/x/faces"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_what_does_not_exist_is_not_found(likeness, gallery, method, path):
    response = likeness.http.request(method, f"/galleries/{gallery}{path}")
    assert response.status_code in {404, 405}
    problem(response, response.status_code, "not_found", "method_not_allowed")
    assert likeness.http.get(f"/galleries/{gallery}{path}").status_code == 404
