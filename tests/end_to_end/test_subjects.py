"""Subjects: described, listed page by page, and called what the caller calls them."""

import itertools

import pytest

from .contract import answered, problem
from .likeness import subject_id_of, subject_path
from .photos import HOPPER_JPEG

HOPPER = HOPPER_JPEG.read_bytes()
ODD_IDS = [
    "x",
    "x" * 128,
    "李" * 128,
    "Žofie Nováková",
    "ada@example.org",
    "v1.2..final",
    ".hidden",
    "50% off?",
    "a#b&c=d;e+f",
    'it\'s "quoted"',
    "'; DROP TABLE subjects; --",
    "\U0001f469‍\U0001f680",
    "00042",
    "null",
    "faces",
    "verify",
]


def test_a_subject_has_the_metadata_last_put(likeness, gallery):
    likeness.create(gallery)
    for metadata in ({"name": "old"}, {"name": "Grace 🐝", "tags": ["navy", {"deep": [1, None, True]}]}):
        assert likeness.describe(gallery, "grace", metadata).is_success
        subject = answered(likeness.http.get(subject_path(gallery, "grace")))
        assert subject["metadata"] == metadata


def test_describing_a_subject_keeps_its_faces(likeness, gallery):
    likeness.enroll(gallery, "hopper", HOPPER)
    likeness.describe(gallery, "hopper", {"name": "Grace"})
    assert len(likeness.face_ids(gallery, "hopper")) == 1


@pytest.mark.parametrize("metadata", [["list"], "text", 5])
def test_metadata_is_an_object(likeness, gallery, metadata):
    likeness.create(gallery)
    problem(likeness.describe(gallery, "grace", metadata), 422, "invalid_request")


@pytest.mark.parametrize(("limit", "sizes"), [(3, [3, 3, 1]), (7, [7]), (100, [7])])
def test_pages_show_every_subject_once(likeness, gallery, limit, sizes):
    likeness.create(gallery)
    names = [f"subject {number} ü?&" for number in range(7)]
    for name in names:
        assert likeness.describe(gallery, name, {}).is_success
    pages = [page for page in likeness.subject_pages(gallery, limit) if page]
    assert [len(page) for page in pages] == sizes
    assert sorted(itertools.chain(*pages)) == names


def test_deleting_a_subject_already_seen_hides_no_other(likeness, gallery):
    likeness.create(gallery)
    names = [f"subject {number}" for number in range(6)]
    for name in names:
        likeness.describe(gallery, name, {})
    pages = likeness.subject_pages(gallery, 2)
    first = next(pages)
    likeness.delete(subject_path(gallery, first[0]))
    assert sorted([*first, *itertools.chain(*pages)]) == names


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_a_limit_out_of_bounds_is_refused(likeness, gallery, limit):
    likeness.create(gallery)
    problem(likeness.http.get(f"/galleries/{gallery}/subjects", params={"limit": limit}), 422, "invalid_request")


@pytest.mark.parametrize("cursor", ["garbage", "é\x00", "A" * 5000, "eyJ9"])
def test_a_cursor_nobody_gave_is_survived(likeness, gallery, cursor):
    likeness.create(gallery)
    response = likeness.http.get(f"/galleries/{gallery}/subjects", params={"cursor": cursor})
    assert response.status_code < 500, response.text


@pytest.mark.parametrize("subject", ODD_IDS)
def test_a_subject_id_is_the_callers_own_string(likeness, gallery, subject):
    answered(likeness.enroll(gallery, subject, HOPPER), 201)
    assert subject_id_of(answered(likeness.http.get(subject_path(gallery, subject)))) == subject
    assert likeness.candidates(HOPPER, gallery)[0]["subject_id"] == subject
    assert next(likeness.subject_pages(gallery, 10)) == [subject]
    likeness.delete(subject_path(gallery, subject))
    assert likeness.candidates(HOPPER, gallery) == []


@pytest.mark.parametrize("subject", ["x" * 129, "李" * 129])
def test_a_subject_id_of_129_characters_is_refused(likeness, gallery, subject):
    likeness.create(gallery)
    problem(likeness.describe(gallery, subject, {}), 422, "invalid_request")
    problem(likeness.enroll(gallery, subject, HOPPER), 422, "invalid_request")


@pytest.mark.parametrize("raw", ["a%2Fb", "%2F", "%00", "%FF%FE", "..%2F..", "%0A", "%20"])
def test_a_hostile_id_is_kept_or_refused_but_never_breaks_the_server(likeness, gallery, raw):
    likeness.create(gallery)
    response = likeness.http.put(f"/galleries/{gallery}/subjects/{raw}", json={"metadata": {}})
    assert response.status_code < 500, response.text
    assert answered(likeness.http.get(f"/galleries/{gallery}"))["faces"] == 0
