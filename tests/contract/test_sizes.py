"""Bodies of very many fields and metadata of many bytes are refused; a problem lists few of its causes."""

import json
from typing import Any

import httpx2
import pytest

from tests.support.answers import answered, problem
from tests.support.api import Api, subject_path
from tests.support.photos import HOPPER, base64_of

IMAGE = base64_of(b"never opened")
KIB = 1024


def put(http: httpx2.Client, gallery: str, body: Any) -> httpx2.Response:
    return http.put(subject_path(gallery, "ada"), json=body)


def test_a_body_of_very_many_unknown_fields_is_refused(http: httpx2.Client, gallery: str) -> None:
    fields = {f"field{number}": 1 for number in range(50_000)}
    answer = http.post("/detect", json={"image": IMAGE, **fields})
    assert "errors" not in problem(answer, 422, "too_many_fields")
    problem(put(http, gallery, dict.fromkeys([*fields][:10_000], 1)), 422, "too_many_fields")
    problem(put(http, gallery, fields), 422, "metadata_too_large")  # by its Content-Length, before it is read
    problem(
        http.post("/detect", files={"image": b"x"}, data=dict.fromkeys([*fields][:65], "1")), 422, "too_many_fields"
    )


def test_a_problem_lists_at_most_20_fields(http: httpx2.Client, gallery: str) -> None:
    fields = {f"field{number}": 1 for number in range(60)}
    for answer in (http.post("/detect", json={"image": IMAGE, **fields}), put(http, gallery, fields)):
        body = problem(answer, 422, "invalid_request")
        assert len(body["errors"]) == 20
        assert body["detail"].count("expected") == 20


@pytest.mark.parametrize("size", [16 * KIB, 16 * KIB + 1])
def test_metadata_have_at_most_16_kib(http: httpx2.Client, gallery: str, size: int) -> None:
    metadata = {"é": "x" * (size - len('{"é":""}'.encode()))}
    answer = put(http, gallery, {"metadata": metadata})
    if size == 16 * KIB:
        assert answered(answer, 201)["metadata"] == metadata
    else:
        assert "16384" in problem(answer, 422, "metadata_too_large")["detail"]
        assert http.get(subject_path(gallery, "ada")).status_code == 404


@pytest.mark.parametrize("size", [200 * KIB, 5 * KIB * KIB])
def test_a_much_larger_body_of_metadata_is_refused_alike(http: httpx2.Client, gallery: str, size: int) -> None:
    problem(put(http, gallery, {"metadata": {"note": "x" * size}}), 422, "metadata_too_large")


def test_metadata_may_be_written_with_escapes_and_indentation(http: httpx2.Client, gallery: str) -> None:
    metadata = {"note": "é" * (8 * KIB - 10), "n": []}
    content = json.dumps({"metadata": metadata}, indent=8)
    answer = http.put(subject_path(gallery, "ada"), content=content, headers={"content-type": "application/json"})
    assert answered(answer, 201)["metadata"] == metadata


def test_a_body_of_another_kind_is_no_metadata(http: httpx2.Client, gallery: str) -> None:
    answer = http.put(subject_path(gallery, "ada"), content=b"x=1", headers={"content-type": "text/plain"})
    problem(answer, 422, "invalid_request")


@pytest.mark.slow
def test_a_subject_has_at_most_50_faces(api: Api, gallery: str) -> None:
    answered(api.enroll(gallery, "ada", *[HOPPER] * 30), 201)
    assert "50 faces" in problem(api.enroll(gallery, "ada", *[HOPPER] * 21), 422, "invalid_request")["detail"]
    answered(api.enroll(gallery, "ada", *[HOPPER] * 20), 201)
