"""The fields of a form, of JSON and of the query are validated before an image is opened."""

import base64
from typing import Any

import pytest
from starlette.testclient import TestClient

NOT_AN_IMAGE = base64.b64encode(b"never opened, since fields are validated first").decode()
PAIR = {"image1": NOT_AN_IMAGE, "image2": NOT_AN_IMAGE}
FORM = {"image1": b"never opened", "image2": b"never opened"}
ONE = {"image": NOT_AN_IMAGE}
REFUSED = (422, "invalid_request")


def refused(client: TestClient, path: str, body: dict[str, Any]) -> list[str]:
    """Return the names of the invalid fields."""
    response = client.post(path, json=body)
    problem = response.json()
    assert (response.status_code, problem["code"]) == REFUSED, problem
    return [each["field"] for each in problem["errors"]]


def opened(client: TestClient, path: str, **request: Any) -> bool:
    """Return whether the fields were valid, so that the image was opened."""
    return bool(client.post(path, **request).json()["code"] == "invalid_image")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/verify", PAIR),
        ("/identify", ONE),
        ("/detect", ONE),
        ("/embed", ONE),
        ("/galleries/default/subjects/ada/faces", ONE),
        ("/galleries/default/subjects/ada/verify", ONE),
    ],
)
def test_unknown_field_is_named(client: TestClient, path: str, body: dict[str, str]) -> None:
    assert refused(client, path, {**body, "treshold": 1.0}) == ["treshold"]
    assert refused(client, path + "?treshold=1", body) == ["treshold"]


def test_unknown_file_is_named(client: TestClient) -> None:
    response = client.post("/verify", files={**FORM, "image3": b"x"})

    assert (response.status_code, response.json()["code"]) == REFUSED
    assert response.json()["errors"] == [{"field": "image3", "detail": "unknown image field"}]


def test_unknown_field_of_a_subject_is_named(client: TestClient, gallery: str) -> None:
    response = client.put(f"/galleries/{gallery}/subjects/ada", json={"metadata": {}, "name": "Ada"})

    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "name")


def test_field_may_be_in_the_query_or_the_body_or_both_with_the_same_value(client: TestClient) -> None:
    assert opened(client, "/verify?threshold=1.0", files=FORM)
    assert opened(client, "/verify", files=FORM, data={"threshold": "1.0"})
    assert opened(client, "/verify?threshold=1.0", files=FORM, data={"threshold": "1.0"})
    assert opened(client, "/verify?face=only", json={**PAIR, "face": "only"})


def test_field_with_two_different_values_is_refused(client: TestClient) -> None:
    response = client.post("/verify?threshold=1.0", files=FORM, data={"threshold": "1.1"})

    assert response.json()["errors"] == [{"field": "threshold", "detail": "given twice with different values"}]
    assert refused(client, "/verify?face=center", {**PAIR, "face": "only"}) == ["face"]
    assert refused(client, "/verify?fmr=0.1&fmr=0.2", PAIR) == ["fmr"]
    assert opened(client, "/verify?fmr=0.1&fmr=0.1", json=PAIR)


BAD_VERIFY: list[dict[str, Any]] = [
    {"fmr": 0},
    {"fmr": 1},
    {"fmr": True},
    {"fmr": "nan"},
    {"threshold": "inf"},
    {"threshold": 4.01},
    {"threshold": False},
    {"face": "LARGEST"},
]
BAD_IDENTIFY: list[dict[str, Any]] = [
    {"top_k": 0},
    {"top_k": 101},
    {"top_k": 2.5},
    {"top_k": True},
    {"gallery": ""},
    {"gallery": "x" * 129},
    {"gallery": 5},
    {"fpir": 0},
    {"fpir": 1.0},
    {"faces": "some"},
]


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [("/verify", PAIR, fields) for fields in BAD_VERIFY] + [("/identify", ONE, fields) for fields in BAD_IDENTIFY],
    ids=str,
)
def test_invalid_field_is_named(client: TestClient, path: str, body: dict[str, Any], fields: dict[str, Any]) -> None:
    assert refused(client, path, body | fields) == list(fields)


@pytest.mark.parametrize(("field", "value"), [("threshold", 0), ("threshold", 4), ("fmr", 0.999), ("threshold", None)])
def test_field_at_its_bounds_is_accepted(client: TestClient, field: str, value: float | None) -> None:
    assert opened(client, "/verify", json={**PAIR, field: value})


def test_all_invalid_fields_are_named_at_once(client: TestClient) -> None:
    assert refused(client, "/verify", {**PAIR, "fmr": 5, "face": "any", "colour": "red"}) == ["face", "fmr", "colour"]


def test_body_that_is_not_an_object_is_refused(client: TestClient, gallery: str) -> None:
    response = client.put(f"/galleries/{gallery}/subjects/ada", json=[])

    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "body")


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_idempotency_key_must_have_1_to_255_characters(client: TestClient, gallery: str, key: str) -> None:
    response = client.post(
        f"/galleries/{gallery}/subjects/ada/faces", files={"image": b"x"}, headers={"Idempotency-Key": key}
    )

    assert (response.status_code, response.json()["errors"][0]["field"].lower()) == (422, "idempotency-key")
