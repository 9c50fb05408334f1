"""Subjects: described, listed page by page, and named by any string of the caller."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.answers import answered, problem
from tests.support.api import Api, subject_path
from tests.support.photos import SMALL_HOPPER

ODD_IDS = [
    "x",
    "x" * 128,
    "李" * 128,
    "Žofie Nováková",
    "ada@example.org",
    "v1.2..final",
    "..a",
    "50% off?",
    "a#b&c=d;e+f",
    "?x=1#y",
    "a/b",
    "/",
    "a//b/",
    "a%2Fb",
    "~",
    "\u202eabc",
    'it\'s "quoted"',
    "'; DROP TABLE subjects; --",
    "\U0001f469‍\U0001f680",
    "00042",
    "null",
    "faces",
    "s/faces",
    "v1/verify",
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)
JSON = {"Content-Type": "application/json"}
NOT_READABLE = {
    "NaN": b"NaN",
    "infinity": b"1e999",
    "half a pair": rb'"\ud800"',
    "half a pair inside": rb'[{"a": "\udfff"}]',
    "half a pair as a name": rb'{"\ud800": 1}',
    "deep": b"[" * 40 + b"]" * 40,
    "very deep": b"[" * 900 + b"]" * 900,
    "endless": b"[" * 100_000,
}


def put(api: Api, gallery: str, value: bytes) -> int:
    body = b'{"metadata": {"value": ' + value + b"}}"
    return api.http.put(subject_path(gallery, "ada"), content=body, headers=JSON).status_code


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(metadata=st.dictionaries(TEXT, VALUES, max_size=5))
def test_any_metadata_that_json_can_express_is_kept(api: Api, gallery: str, metadata: dict[str, Any]) -> None:
    path = subject_path(gallery, "ada")
    api.create(gallery)
    put_back = api.http.put(path, content=json.dumps({"metadata": metadata}), headers=JSON)
    assert put_back.json()["metadata"] == metadata
    assert api.http.get(path).json()["metadata"] == metadata


@pytest.mark.parametrize("what", NOT_READABLE)
def test_metadata_that_could_not_be_read_back_is_refused(api: Api, gallery: str, what: str) -> None:
    api.create(gallery)
    assert put(api, gallery, NOT_READABLE[what]) == 422
    assert api.http.get(f"/galleries/{gallery}/subjects").json()["subjects"] == []


def test_metadata_of_thirty_levels_is_accepted(api: Api, gallery: str) -> None:
    api.create(gallery)
    assert put(api, gallery, b"[" * 30 + b"]" * 30) == 201


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"metadata": {}}'])
def test_a_subject_may_be_made_without_metadata(api: Api, gallery: str, body: bytes) -> None:
    api.create(gallery)
    response = api.http.put(subject_path(gallery, "ada"), content=body, headers=JSON)
    assert answered(response, 201)["metadata"] == {}


def test_describing_a_subject_replaces_its_metadata_and_keeps_its_faces(api: Api, gallery: str) -> None:
    path, metadata = subject_path(gallery, "grace"), {"name": "Grace 🐝", "tags": ["navy", {"deep": [1, None, True]}]}
    api.enroll(gallery, "grace", SMALL_HOPPER)
    for described in ({"name": "old"}, metadata):
        assert answered(api.describe(gallery, "grace", described))["metadata"] == described
    assert answered(api.http.put(path))["metadata"] == metadata
    assert answered(api.http.put(path, json={}))["metadata"] == metadata
    assert answered(api.http.get(path))["metadata"] == metadata
    assert len(api.face_ids(gallery, "grace")) == 1


@pytest.mark.parametrize("metadata", [["list"], "text", 5])
def test_metadata_is_an_object(api: Api, gallery: str, metadata: Any) -> None:
    api.create(gallery)
    problem(api.describe(gallery, "grace", metadata), 422, "invalid_request")


@pytest.mark.parametrize(("body", "field"), [({"metadata": {}, "name": "Ada"}, "name"), ([], "body")])
def test_an_unknown_field_or_a_body_that_is_no_object_is_named(api: Api, gallery: str, body: Any, field: str) -> None:
    api.create(gallery)
    errors = problem(api.http.put(subject_path(gallery, "ada"), json=body), 422, "invalid_request")["errors"]
    assert errors[0]["field"] == field


@pytest.mark.parametrize(("limit", "sizes"), [(3, [3, 3, 1]), (7, [7]), (100, [7])])
def test_pages_show_every_subject_once(api: Api, gallery: str, limit: int, sizes: list[int]) -> None:
    api.create(gallery)
    names = [f"subject {number} ü?&" for number in range(7)]
    for name in names:
        assert api.describe(gallery, name, {}).is_success
    pages = [page for page in api.subject_pages(gallery, limit) if page]
    assert [len(page) for page in pages] == sizes
    assert sorted(itertools.chain(*pages)) == names


def test_deleting_a_subject_already_seen_hides_no_other(api: Api, gallery: str) -> None:
    api.create(gallery)
    names = [f"subject {number}" for number in range(6)]
    for name in names:
        api.describe(gallery, name, {})
    pages = api.subject_pages(gallery, 2)
    first = next(pages)
    api.delete(subject_path(gallery, first[0]))
    assert sorted([*first, *itertools.chain(*pages)]) == names


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_a_limit_out_of_bounds_is_refused(api: Api, limit: str) -> None:
    problem(api.http.get("/galleries/default/subjects", params={"limit": limit}), 422, "invalid_request")


@pytest.mark.parametrize("cursor", ["garbage", "é\x00", "A" * 5000, "eyJ9"])
def test_an_invented_cursor_is_refused(api: Api, cursor: str) -> None:
    problem(api.http.get("/galleries/default/subjects", params={"cursor": cursor}), 422, "invalid_cursor")


def test_a_changed_cursor_is_refused_and_an_empty_one_is_the_start(api: Api, gallery: str) -> None:
    for name in ("ada", "bob"):
        api.describe(gallery, name, {})
    path = f"/galleries/{gallery}/subjects"
    cursor = answered(api.http.get(path, params={"limit": "1"}))["next_cursor"]
    for changed in (cursor[1:], cursor[:-2], "A" + cursor[1:], cursor * 2):
        problem(api.http.get(path, params={"cursor": changed}), 422, "invalid_cursor")
    first = answered(api.http.get(path, params={"cursor": ""}))["subjects"]
    assert [subject["subject_id"] for subject in first] == ["ada", "bob"]


@pytest.mark.parametrize("subject", ODD_IDS)
def test_a_subject_id_is_the_callers_own_string(api: Api, gallery: str, subject: str) -> None:
    answered(api.enroll(gallery, subject, SMALL_HOPPER), 201)
    assert answered(api.http.get(subject_path(gallery, subject)))["subject_id"] == subject
    assert answered(api.http.get("/v1" + subject_path(gallery, subject)))["subject_id"] == subject
    assert api.names(SMALL_HOPPER, gallery) == [subject]
    assert next(api.subject_pages(gallery, 10)) == [subject]
    api.delete(subject_path(gallery, subject))
    assert api.candidates(SMALL_HOPPER, gallery) == []


@pytest.mark.parametrize("subject", ["x" * 129, "李" * 129])
def test_a_subject_id_of_129_characters_is_refused(api: Api, gallery: str, subject: str) -> None:
    api.create(gallery)
    problem(api.describe(gallery, subject, {}), 422, "invalid_request")
    problem(api.enroll(gallery, subject, SMALL_HOPPER), 422, "invalid_request")


@pytest.mark.parametrize("raw", ["%FF", "%C3%28", "%ED%A0%80", "%00", "a%0Ab", "%7F"])
def test_a_subject_id_that_is_no_text_is_refused(api: Api, gallery: str, raw: str) -> None:
    api.create(gallery)
    body = problem(api.http.put(f"/galleries/{gallery}/subjects/{raw}", json={}), 422, "invalid_request")
    assert body["errors"][0]["field"] == "subject"


@pytest.mark.parametrize("raw", ["..%2F..", "%20"])
def test_a_strange_id_is_kept_or_refused(api: Api, gallery: str, raw: str) -> None:
    api.create(gallery)
    response = api.http.put(f"/galleries/{gallery}/subjects/{raw}", json={"metadata": {}})
    assert response.status_code < 500, response.text
    assert answered(api.http.get(f"/galleries/{gallery}"))["faces"] == 0


def test_consent_and_expiry_are_answered_kept_and_exported(api: Api, gallery: str) -> None:
    path = subject_path(gallery, "ada")
    terms = {"consent": "form 4711, \U0001f41d", "expires_at": "2999-01-31T12:00:00+02:00"}
    stored = {"consent": terms["consent"], "expires_at": "2999-01-31T10:00:00.000Z"}
    assert answered(api.http.put(path, json=terms), 201) | stored == answered(api.http.get(path))
    assert answered(api.http.put(path, json={"metadata": {"name": "Ada"}, "consent": None, "expires_at": None})) == (
        answered(api.http.get(path)) | stored
    )
    (listed,) = answered(api.http.get(f"/galleries/{gallery}/subjects"))["subjects"]
    exported = answered(api.http.get(f"{path}/export"))
    for shown in (listed, exported):
        assert {name: shown[name] for name in stored} == stored
    cleared = answered(api.http.put(path, json={"consent": "", "expires_at": ""}))
    assert (cleared["consent"], cleared["expires_at"], cleared["metadata"]) == (None, None, {"name": "Ada"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("consent", "x" * 257),
        ("consent", 7),
        ("consent", {"form": 7}),
        ("expires_at", "2020-01-01T00:00:00Z"),
        ("expires_at", "2999-01-01T00:00:00"),
        ("expires_at", "2999-02-30T00:00:00Z"),
        ("expires_at", "0001-01-01T00:00:00+01:00"),
        ("expires_at", "tomorrow"),
        ("expires_at", 32503680000),
    ],
)
def test_a_wrong_consent_or_expiry_is_refused(api: Api, gallery: str, field: str, value: Any) -> None:
    api.create(gallery)
    (error,) = problem(api.http.put(subject_path(gallery, "ada"), json={field: value}), 422, "invalid_request")[
        "errors"
    ]
    assert error["field"] == field
    problem(api.http.get(subject_path(gallery, "ada")), 404, "not_found")


def test_a_consent_that_is_no_text_is_refused(api: Api, gallery: str) -> None:
    api.create(gallery)
    body = rb'{"consent": "\ud800"}'
    problem(api.http.put(subject_path(gallery, "ada"), content=body, headers=JSON), 422, "invalid_request")
