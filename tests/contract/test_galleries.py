"""Galleries: made, counted, separate from each other, and gone when deleted."""

from collections.abc import Iterator

import pytest

from tests.support.answers import answered, identification, problem
from tests.support.api import Api, subject_path
from tests.support.photos import COLLINS, HOPPER, SMALL_HOPPER


def test_a_gallery_can_be_made_and_seen(api: Api, gallery: str) -> None:
    api.create(gallery)
    assert answered(api.http.get(f"/galleries/{gallery}"))["id"] == gallery
    assert gallery in [each["id"] for each in answered(api.http.get("/galleries"))["galleries"]]


def test_a_gallery_may_have_a_slash_in_its_id(api: Api) -> None:
    assert api.http.put("/galleries/a%2Fb").json()["id"] == "a/b"
    assert api.http.put("/v1/galleries/a%2Fb").status_code == 200
    assert api.http.get("/v1/galleries/a%2Fb%2Fc").json()["instance"] == "/v1/galleries/a%2Fb%2Fc"
    assert api.http.delete("/galleries/a%2Fb").status_code == 204


@pytest.mark.parametrize("path", ["/galleries/%FF", "/galleries/%FF/subjects", "/galleries/a%00/subjects/x"])
def test_a_gallery_id_that_is_no_text_is_refused(api: Api, path: str) -> None:
    problem(api.http.get(path), 422, "invalid_request")


def test_making_a_gallery_again_keeps_what_is_in_it(api: Api, gallery: str) -> None:
    api.enroll(gallery, "hopper", HOPPER, SMALL_HOPPER)
    api.enroll(gallery, "collins", COLLINS)
    api.create(gallery)
    body = answered(api.http.get(f"/galleries/{gallery}"))
    assert (body["subjects"], body["faces"]) == (2, 3)
    assert len(api.candidates(HOPPER, gallery)) == 1


def test_every_change_raises_the_revision(api: Api, gallery: str) -> None:
    api.create(gallery)
    revisions = [identification(api.identify(HOPPER, gallery=gallery))["gallery"]["revision"]]
    for change in (lambda: api.enroll(gallery, "a", HOPPER), lambda: api.delete(subject_path(gallery, "a"))):
        change()
        revisions.append(identification(api.identify(HOPPER, gallery=gallery))["gallery"]["revision"])
    assert revisions == sorted(set(revisions))


def test_galleries_know_nothing_of_each_other(api: Api, gallery: str, gallery_names: Iterator[str]) -> None:
    elsewhere = next(gallery_names)
    api.create(elsewhere)
    api.enroll(gallery, "hopper", HOPPER)
    assert api.candidates(HOPPER, elsewhere) == []
    problem(api.http.get(subject_path(elsewhere, "hopper")), 404, "not_found")


def test_a_deleted_gallery_is_gone_and_a_new_one_of_its_name_is_empty(api: Api, gallery: str) -> None:
    api.enroll(gallery, "hopper", HOPPER)
    api.delete(f"/galleries/{gallery}")
    problem(api.http.get(f"/galleries/{gallery}"), 404, "not_found")
    problem(api.identify(HOPPER, gallery=gallery), 404, "not_found")
    api.create(gallery)
    assert api.candidates(HOPPER, gallery) == []
    problem(api.http.get(subject_path(gallery, "hopper")), 404, "not_found")


@pytest.mark.parametrize("path", ["", "/subjects", "/subjects/x", "/subjects/x/faces"])
def test_a_gallery_or_subject_that_does_not_exist_is_not_found(api: Api, gallery: str, path: str) -> None:
    deleted = api.http.delete(f"/galleries/{gallery}{path}")
    problem(deleted, deleted.status_code, "not_found", "method_not_allowed")
    problem(api.http.get(f"/galleries/{gallery}{path}"), 404, "not_found")
