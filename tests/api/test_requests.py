"""Fields in a form, in JSON, or in the query: each known, each once, each within its bounds."""

import base64
from typing import Any

import pytest
from starlette.testclient import TestClient

NOT_AN_IMAGE = base64.b64encode(b"never opened: fields come first").decode()
PAIR = {"image1": NOT_AN_IMAGE, "image2": NOT_AN_IMAGE}
FORM = {"image1": b"never opened", "image2": b"never opened"}
ONE = {"image": NOT_AN_IMAGE}
REFUSED = (422, "invalid_request")


def refused(client: TestClient, path: str, body: dict[str, Any]) -> list[str]:
    """The fields at fault."""
    response = client.post(path, json=body)
    problem = response.json()
    assert (response.status_code, problem["code"]) == REFUSED, problem
    return [each["field"] for each in problem["errors"]]


def opened(client: TestClient, path: str, **how: Any) -> bool:
    """Whether the fields were good, so that the image was looked at."""
    return bool(client.post(path, **how).json()["code"] == "invalid_image")


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
def test_an_unknown_field_is_refused_by_its_name(client: TestClient, path: str, body: dict[str, str]) -> None:
    assert refused(client, path, {**body, "treshold": 1.0}) == ["treshold"]
    assert refused(client, path + "?treshold=1", body) == ["treshold"]


def test_an_unknown_file_is_refused_by_its_name(client: TestClient) -> None:
    response = client.post("/verify", files={**FORM, "image3": b"x"})

    assert (response.status_code, response.json()["code"]) == REFUSED
    assert response.json()["errors"] == [{"field": "image3", "detail": "unknown image field"}]


def test_an_unknown_field_of_a_subject_is_refused(client: TestClient, gallery: str) -> None:
    response = client.put(f"/galleries/{gallery}/subjects/ada", json={"metadata": {}, "name": "Ada"})

    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "name")


def test_a_field_may_stand_in_the_query_in_the_form_or_in_both_alike(client: TestClient) -> None:
    assert opened(client, "/verify?threshold=1.0", files=FORM)
    assert opened(client, "/verify", files=FORM, data={"threshold": "1.0"})
    assert opened(client, "/verify?threshold=1.0", files=FORM, data={"threshold": "1.0"})
    assert opened(client, "/verify?face=only", json={**PAIR, "face": "only"})


def test_a_field_that_differs_in_body_and_query_is_refused(client: TestClient) -> None:
    response = client.post("/verify?threshold=1.0", files=FORM, data={"threshold": "1.1"})

    assert response.json()["errors"] == [{"field": "threshold", "detail": "given twice"}]
    assert refused(client, "/verify?face=center", {**PAIR, "face": "only"}) == ["face"]


def test_a_field_given_twice_is_refused_where_the_two_differ(client: TestClient) -> None:
    assert refused(client, "/verify?fmr=0.1&fmr=0.2", PAIR) == ["fmr"]
    assert opened(client, "/verify?fmr=0.1&fmr=0.1", json=PAIR)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/verify", {"fmr": 0}),
        ("/verify", {"fmr": 1}),
        ("/verify", {"fmr": True}),
        ("/verify", {"fmr": "nan"}),
        ("/verify", {"threshold": "inf"}),
        ("/verify", {"threshold": 4.01}),
        ("/verify", {"threshold": False}),
        ("/verify", {"face": "LARGEST"}),
    ],
    ids=str,
)
def test_a_field_out_of_its_bounds_is_named(client: TestClient, path: str, fields: dict[str, Any]) -> None:
    assert refused(client, path, PAIR | fields) == list(fields)


@pytest.mark.parametrize(
    "fields",
    [
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
    ],
    ids=str,
)
def test_a_field_of_an_identification_out_of_its_bounds_is_named(client: TestClient, fields: dict[str, Any]) -> None:
    assert refused(client, "/identify", ONE | fields) == list(fields)


@pytest.mark.parametrize(("field", "value"), [("threshold", 0), ("threshold", 4), ("fmr", 0.999), ("threshold", None)])
def test_a_field_at_its_bounds_is_accepted(client: TestClient, field: str, value: float | None) -> None:
    assert opened(client, "/verify", json={**PAIR, field: value})


def test_several_faults_are_told_at_once(client: TestClient) -> None:
    assert refused(client, "/verify", {**PAIR, "fmr": 5, "face": "any", "colour": "red"}) == ["face", "fmr", "colour"]


def test_a_body_that_is_no_object_is_named_as_such(client: TestClient, gallery: str) -> None:
    response = client.put(f"/galleries/{gallery}/subjects/ada", json=[])

    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "body")


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_idempotency_key_has_1_to_255_characters(client: TestClient, gallery: str, key: str) -> None:
    response = client.post(
        f"/galleries/{gallery}/subjects/ada/faces", files={"image": b"x"}, headers={"Idempotency-Key": key}
    )

    assert (response.status_code, response.json()["errors"][0]["field"].lower()) == (422, "idempotency-key")
