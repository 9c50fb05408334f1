"""Fields in a form, in JSON, or in the query: each known, each once, each within its bounds."""

import re
from typing import Any

import httpx2
import pytest

from tests.support.answers import problem
from tests.support.photos import base64_of

NOT_AN_IMAGE = base64_of(b"never opened: fields come first")
PAIR = {"image1": NOT_AN_IMAGE, "image2": NOT_AN_IMAGE}
FORM = {"image1": b"never opened", "image2": b"never opened"}
ONE = {"image": NOT_AN_IMAGE}
BODIES = {
    "/verify": PAIR,
    "/identify": ONE,
    "/detect": ONE,
    "/embed": ONE,
    "/galleries/default/subjects/ada/faces": ONE,
    "/galleries/default/subjects/ada/verify": ONE,
}


def refused(http: httpx2.Client, path: str, body: dict[str, Any]) -> list[str]:
    """Return the fields at fault, each of which is told what was expected and what was given."""
    errors = problem(http.post(path, json=body), 422, "invalid_request")["errors"]
    assert all(re.fullmatch(r"expected .+, got .+", each["detail"]) for each in errors), errors
    return [each["field"] for each in errors]


def opened(http: httpx2.Client, path: str, **how: Any) -> bool:
    """Return whether the fields were good, so that the image was opened."""
    return bool(http.post(path, **how).json()["code"] == "invalid_image")


@pytest.mark.parametrize("path", BODIES)
def test_an_unknown_field_is_refused_by_its_name(http: httpx2.Client, path: str) -> None:
    assert refused(http, path, {**BODIES[path], "treshold": 1.0}) == ["treshold"]
    assert refused(http, path + "?treshold=1", BODIES[path]) == ["treshold"]


def test_an_unknown_file_is_refused_by_its_name(http: httpx2.Client) -> None:
    body = problem(http.post("/verify", files={**FORM, "image3": b"x"}), 422, "invalid_request")
    assert body["errors"] == [{"field": "image3", "detail": "expected no file in a field of this name, got one"}]


def test_a_field_may_stand_in_the_query_in_the_form_or_in_both_alike(http: httpx2.Client) -> None:
    assert opened(http, "/verify?threshold=1.0", files=FORM)
    assert opened(http, "/verify", files=FORM, data={"threshold": "1.0"})
    assert opened(http, "/verify?threshold=1.0", files=FORM, data={"threshold": "1.0"})
    assert opened(http, "/verify?face=only", json={**PAIR, "face": "only"})
    assert opened(http, "/verify?fmr=0.1&fmr=0.1", json=PAIR)


def test_a_field_given_twice_is_refused_where_the_two_differ(http: httpx2.Client) -> None:
    response = http.post("/verify?threshold=1.0", files=FORM, data={"threshold": "1.1"})
    assert response.json()["errors"] == [{"field": "threshold", "detail": "expected one value, got two different ones"}]
    assert refused(http, "/verify?face=center", {**PAIR, "face": "only"}) == ["face"]
    assert refused(http, "/verify?fmr=0.1&fmr=0.2", PAIR) == ["fmr"]
    response = http.get("/galleries/default/subjects?limit=2&limit=3&cursor=&cursor=")
    assert [each["field"] for each in problem(response, 422, "invalid_request")["errors"]] == ["limit"]


@pytest.mark.parametrize(
    "fields",
    [
        {"face": 5},
        {"face": ["largest"]},
        {"face": "LARGEST"},
        {"fmr": 0},
        {"fmr": 1},
        {"fmr": True},
        {"fmr": "often"},
        {"fmr": []},
        {"fmr": {}},
        {"fmr": "nan"},
        {"fmr": -0.1},
        {"threshold": -1},
        {"threshold": 4.01},
        {"threshold": False},
        {"threshold": "inf"},
    ],
    ids=str,
)
def test_a_field_out_of_its_bounds_is_named(http: httpx2.Client, fields: dict[str, Any]) -> None:
    assert refused(http, "/verify", PAIR | fields) == list(fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"top_k": 0},
        {"top_k": 101},
        {"top_k": -1},
        {"top_k": "two"},
        {"top_k": 2.5},
        {"top_k": True},
        {"gallery": ""},
        {"gallery": "x" * 129},
        {"gallery": 5},
        {"fpir": 0},
        {"fpir": 1.0},
        {"fpir": "nan"},
        {"threshold": -1},
        {"threshold": "five"},
        {"faces": "some"},
    ],
    ids=str,
)
def test_a_field_of_an_identification_out_of_its_bounds_is_named(http: httpx2.Client, fields: dict[str, Any]) -> None:
    assert refused(http, "/identify", ONE | fields) == list(fields)


@pytest.mark.parametrize(("field", "value"), [("threshold", 0), ("threshold", 4), ("fmr", 0.999), ("threshold", None)])
def test_a_field_at_its_bounds_is_accepted(http: httpx2.Client, field: str, value: float | None) -> None:
    assert opened(http, "/verify", json={**PAIR, field: value})


@pytest.mark.parametrize("path", BODIES)
def test_null_means_absent_for_every_optional_field(http: httpx2.Client, path: str) -> None:
    optional = {
        "/verify": ("fmr", "threshold", "face"),
        "/identify": ("gallery", "top_k", "fpir", "threshold", "faces", "face"),
        "/detect": (),
        "/embed": ("faces", "face"),
        "/galleries/default/subjects/ada/faces": ("face",),
        "/galleries/default/subjects/ada/verify": ("fmr", "threshold", "face"),
    }[path]
    with_nulls = http.post(path, json=BODIES[path] | dict.fromkeys(optional))
    without = http.post(path, json=BODIES[path])
    assert with_nulls.status_code == without.status_code
    assert with_nulls.json().get("code") == without.json().get("code") != "invalid_request"
    assert refused(http, path, BODIES[path] | {"treshold": None}) == ["treshold"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/galleries"),
        ("PUT", "/galleries/default"),
        ("GET", "/galleries/default"),
        ("DELETE", "/galleries/nobody"),
        ("GET", "/galleries/default/subjects"),
        ("GET", "/galleries/default/subjects/ada"),
        ("PUT", "/galleries/default/subjects/ada"),
        ("DELETE", "/galleries/default/subjects/ada"),
        ("GET", "/galleries/default/subjects/ada/export"),
        ("GET", "/galleries/default/subjects/ada/faces"),
        ("DELETE", "/galleries/default/subjects/ada/faces/1"),
        ("GET", "/models"),
        ("GET", "/models/mtcnn/calibration"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/audit"),
        ("GET", "/metrics"),
    ],
)
def test_an_unknown_field_of_the_query_is_refused_by_its_name(http: httpx2.Client, method: str, path: str) -> None:
    for prefix in ("", "/v1"):
        body = problem(http.request(method, f"{prefix}{path}?limt=1"), 422, "invalid_request")
        assert [each["field"] for each in body["errors"]] == ["limt"]
        assert re.fullmatch(
            r"expected (no field|one of [a-z, ]*limit[a-z, ]*), got 'limt'", body["errors"][0]["detail"]
        )


def test_very_many_unknown_fields_of_the_query_are_listed_in_part(http: httpx2.Client) -> None:
    query = "&".join(f"field{number}=1" for number in range(100))
    assert len(problem(http.get(f"/models?{query}"), 422, "invalid_request")["errors"]) == 20


@pytest.mark.parametrize(
    ("given", "detail"),
    [
        ({"metadata": [1]}, "expected an object, got a list"),
        ({"metadata": None, "consent": 5}, "expected text, got 5"),
        ({"consent": "x" * 257}, "expected at most 256 characters, got 257"),
        ({"expires_at": "soon"}, "expected a time such as 2027-01-31T12:00:00Z, got 'soon'"),
        ({"id": "a\nb"}, r"expected 1 to 128 characters without control characters, got 'a\nb'"),
        ({"id": 5.0}, "expected text, got 5.0"),
        ({"name": "Ada"}, "expected one of consent, expires_at, id, metadata, got 'name'"),
    ],
)
def test_a_field_of_a_subject_says_what_it_may_be(http: httpx2.Client, given: dict[str, Any], detail: str) -> None:
    response = http.patch("/galleries/default/subjects/ada", json=given)
    assert [each["detail"] for each in problem(response, 422, "invalid_request")["errors"]] == [detail]


def test_several_faults_are_named_at_once(http: httpx2.Client) -> None:
    assert refused(http, "/verify", {**PAIR, "fmr": 5, "face": "any", "colour": "red"}) == ["face", "fmr", "colour"]
