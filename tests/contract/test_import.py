"""POST /galleries/{g}/import: lines of an export in, an answer a line out."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import numpy as np
import pytest

from app.domain.identity import Scope
from tests.support.answers import answered, problem
from tests.support.api import Api, subject_path
from tests.support.photos import HOPPER, HOPPER_AGAIN

from .conftest import Service

pytestmark = pytest.mark.any_database

Line = dict[str, Any]
BAD: dict[str, Any] = {
    "not JSON": "{",
    "no object": "[]",
    "nothing of a subject": {"some": "thing"},
    "no vector": {"subject_id": "x", "metadata": {}, "faces": [{"face_id": "f", "enrolled_at": "2026-01-02"}]},
    "an id with a control character": {"subject_id": "\t", "metadata": {}, "faces": []},
    "an id with half a character": '{"subject_id": "\\ud800", "metadata": {}, "faces": []}',
    "a consent with half a character": '{"subject_id": "x", "metadata": {}, "faces": [], "consent": "\\ud800"}',
    "an id with a NUL": '{"subject_id": "x\\u0000", "metadata": {}, "faces": []}',
    "NaN in the metadata": '{"subject_id": "x", "metadata": {"a": NaN}, "faces": []}',
    "metadata that are too large": {"subject_id": "x", "metadata": {"a": "b" * 20_000}, "faces": []},
    "a line that is too long": {"subject_id": "x", "metadata": {}, "faces": [], "more": "m" * 2**20},
    "deep nesting": '{"subject_id": "x", "metadata": ' + '{"a":' * 2000 + "1" + "}" * 2000 + ', "faces": []}',
    "a time that is none": {"subject_id": "x", "metadata": {}, "faces": [], "expires_at": "soon"},
}


@pytest.fixture(scope="module")
def model(api: Api) -> str:
    return str(answered(api.embed(HOPPER))["model"]["digest"])


@pytest.fixture
def header(model: str) -> Line:
    return {"format": "likeness-gallery-1", "gallery": "anything", "model": model}


def face(seed: int, face_id: str | None = None) -> Line:
    vector = np.random.default_rng(seed).normal(size=128)
    unit = np.asarray(vector / np.linalg.norm(vector), "<f4")
    encoded = base64.b64encode(unit.tobytes()).decode()
    return {"face_id": face_id or f"face-{seed}", "vector": encoded, "enrolled_at": "2026-01-02T03:04:05Z"}


def subject(name: str, *faces: Line, **more: Any) -> Line:
    return {"subject_id": name, "metadata": {"name": name}, "faces": list(faces), **more}


def body_of(*lines: Line | str) -> bytes:
    return "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines).encode()


def post(api: Api, gallery: str, body: bytes | Iterator[bytes]) -> httpx2.Response:
    return api.http.post(f"/galleries/{gallery}/import", content=body)


def imported(api: Api, gallery: str, *lines: Line | str) -> list[Line]:
    return answers(post(api, gallery, body_of(*lines)))


def answers(response: httpx2.Response) -> list[Line]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


def statuses(lines: list[Line]) -> list[str]:
    return [line["status"] for line in lines]


def test_each_line_is_answered_in_order_with_its_number_and_subject(api: Api, gallery: str, header: Line) -> None:
    lines = imported(api, gallery, header, subject("ada", face(1), face(2)), subject("bob"))
    assert [(line["line"], line["subject_id"], line["status"], line["faces"]) for line in lines] == [
        (1, None, "header", 0),
        (2, "ada", "created", 2),
        (3, "bob", "created", 0),
    ]
    assert all(line["error"] is None for line in lines)
    assert api.face_ids(gallery, "ada") == ["face-1", "face-2"]
    assert answered(api.http.get(subject_path(gallery, "bob")))["metadata"] == {"name": "bob"}


def test_the_same_lines_again_change_nothing(api: Api, gallery: str, header: Line) -> None:
    lines = [header, subject("ada", face(1)), subject("bob", face(2))]
    imported(api, gallery, *lines)
    before = answered(api.http.get(f"/galleries/{gallery}"))
    assert statuses(imported(api, gallery, *lines)) == ["header", "exists", "exists"]
    assert answered(api.http.get(f"/galleries/{gallery}")) == before


def test_an_import_goes_on_where_another_ended(api: Api, gallery: str, header: Line) -> None:
    imported(api, gallery, header, subject("ada", face(1)))
    lines = imported(api, gallery, header, subject("ada", face(1), face(2)), subject("bob", face(3)))
    assert [(line["status"], line["faces"]) for line in lines[1:]] == [("updated", 1), ("created", 1)]


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_line_is_answered_and_the_others_are_imported(api: Api, gallery: str, header: Line, bad: Any) -> None:
    lines = imported(api, gallery, header, subject("ada", face(1)), bad, subject("bob", face(2)))
    assert statuses(lines) == ["header", "created", "error", "created"]
    assert lines[2]["line"] == 3
    assert lines[2]["error"]["code"] in {"invalid_request", "metadata_too_large"}
    assert lines[2]["error"]["detail"]
    assert answered(api.http.get(f"/galleries/{gallery}"))["faces"] == 2


def test_a_face_of_somebody_else_is_refused_on_its_line(api: Api, gallery: str, header: Line) -> None:
    imported(api, gallery, header, subject("ada", face(1)))
    lines = imported(api, gallery, header, subject("bob", face(1)), subject("eve", face(2)))
    assert [(line["subject_id"], line["status"]) for line in lines[1:]] == [("bob", "error"), ("eve", "created")]
    problem(api.http.get(subject_path(gallery, "bob")), 404, "not_found")


def test_more_faces_than_a_subject_may_have_are_refused_on_their_line(api: Api, gallery: str, header: Line) -> None:
    many = subject("ada", *(face(seed) for seed in range(51)))
    lines = imported(api, gallery, header, many, subject("bob", face(99)))
    assert statuses(lines) == ["header", "error", "created"], lines
    assert "50" in lines[1]["error"]["detail"]


def test_a_subject_past_its_expiry_is_left_out(api: Api, gallery: str, header: Line) -> None:
    lines = imported(api, gallery, header, subject("ada", face(1), expires_at="2020-01-01T00:00:00Z"))
    assert statuses(lines) == ["header", "expired"]
    problem(api.http.get(subject_path(gallery, "ada")), 404, "not_found")


def test_an_export_of_the_command_line_can_be_imported(api: Api, gallery: str, header: Line) -> None:
    answered(api.enroll(gallery, "hopper", HOPPER), 201)
    exported = answered(api.http.get(f"{subject_path(gallery, 'hopper')}/export"))["faces"][0]
    vector = base64.b64encode(np.asarray(exported["embedding"], "<f4").tobytes()).decode()
    quality = [exported["quality"][name] for name in ("size", "sharpness", "frontality", "inside")]
    line = {**exported, "vector": vector, "quality": quality}
    imported(api, f"{gallery}-copy", header, subject("hopper", line))
    assert api.names(HOPPER_AGAIN, f"{gallery}-copy") == ["hopper"]
    (copied,) = answered(api.http.get(f"{subject_path(f'{gallery}-copy', 'hopper')}/faces"))["faces"]
    assert copied["box"] == exported["box"]


@pytest.mark.parametrize("lines", [[], [""], ["{}"], ["not JSON"], [{"format": "other", "model": "m"}]])
def test_without_a_header_nothing_is_imported(api: Api, gallery: str, lines: list[Line | str]) -> None:
    problem(post(api, gallery, body_of(*lines)), 422, "invalid_request")
    problem(api.http.get(f"/galleries/{gallery}"), 404, "not_found")


def test_vectors_of_another_model_are_refused(api: Api, gallery: str, header: Line) -> None:
    body = body_of({**header, "model": "sha256:" + "0" * 64}, subject("ada", face(1)))
    problem(post(api, gallery, body), 409, "model_mismatch")


def test_a_compressed_body_is_refused(api: Api, gallery: str, header: Line) -> None:
    headers = {"Content-Encoding": "gzip"}
    response = api.http.post(f"/galleries/{gallery}/import", content=body_of(header), headers=headers)
    problem(response, 422, "invalid_request")


def test_lines_that_are_cut_anywhere_into_chunks_are_put_together(api: Api, gallery: str, header: Line) -> None:
    body = body_of(header, subject("ada", face(1)), "", subject("bob", face(2))).rstrip(b"\n")
    chunks = (body[start : start + 37] for start in range(0, len(body), 37))
    lines = answers(post(api, gallery, chunks))
    assert [(line["line"], line["status"]) for line in lines] == [(1, "header"), (2, "created"), (4, "created")]


def test_many_lines_are_imported(api: Api, gallery: str, header: Line) -> None:
    lines = imported(api, gallery, header, *(subject(f"s{seed}", face(seed)) for seed in range(2500)))
    assert [line["line"] for line in lines] == list(range(1, 2502))
    assert set(statuses(lines)) == {"header", "created"}
    assert answered(api.http.get(f"/galleries/{gallery}"))["faces"] == 2500


def test_an_import_needs_both_scopes(service: Service, gallery: str, header: Line) -> None:
    path = f"/galleries/{gallery}/import"
    for scopes in ([Scope.ENROLL], [Scope.EMBED]):
        response = service.client(service.new_key(*scopes)).post(path, content=body_of(header))
        problem(response, 403, "forbidden")
    both = service.client(service.new_key(Scope.ENROLL, Scope.EMBED))
    assert both.post(path, content=body_of(header)).status_code == 200
