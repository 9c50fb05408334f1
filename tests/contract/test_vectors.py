"""Vectors of /embed in place of photos: in /verify, /identify, .../verify and enrolment."""

from typing import Any

import httpx2
import pytest

from app.domain.identity import Scope
from tests.support.answers import Body, answered, comparison, problem, verification
from tests.support.api import Api, part, subject_path
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN, base64_of

from .conftest import Service

FACE = ("box", "landmarks", "confidence", "quality", "rotated")
BAD: dict[str, tuple[Any, int, str]] = {
    "not of length 1": ([2.0] + [0.0] * 127, 422, "invalid_request"),
    "without length": ([0.0] * 128, 422, "invalid_request"),
    "too short": ([1.0], 422, "invalid_request"),
    "too long": ([1.0] + [0.0] * 128, 422, "invalid_request"),
    "empty": ([], 422, "invalid_request"),
    "beyond float32": ([1e300] + [0.0] * 127, 422, "invalid_request"),
    "text": (["1.0"] + [0.0] * 127, 422, "invalid_request"),
    "no list": ("AAAA", 422, "invalid_request"),
}


@pytest.fixture(scope="module")
def embedded(api: Api) -> dict[str, Any]:
    """The vectors of photos, and the model that made them."""
    body = answered(api.embed(HOPPER, HOPPER_AGAIN, COLLINS))
    vectors = [result["faces"][0]["embedding"] for result in body["results"]]
    return {"hopper": vectors[0], "again": vectors[1], "collins": vectors[2], "model": body["model"]}


@pytest.fixture(scope="module")
def digest(embedded: dict[str, Any]) -> str:
    return str(embedded["model"]["digest"])


def enroll(api: Api, gallery: str, subject: str, headers: dict[str, str] | None = None, **body: Any) -> httpx2.Response:
    return api.http.post(f"{subject_path(gallery, subject)}/faces", json=body, headers=headers)


def fields_of(response: httpx2.Response) -> list[str]:
    return [each["field"] for each in problem(response, 422, "invalid_request")["errors"]]


def test_two_vectors_are_compared_as_their_photos(api: Api, embedded: Body, digest: str) -> None:
    photos = verification(api.verify(HOPPER, HOPPER_AGAIN))
    pair = {"embedding1": embedded["hopper"], "embedding2": embedded["again"], "model": digest}
    vectors = comparison(api.http.post("/verify", json=pair))
    assert vectors["faces"] == []
    for name in ("match", "distance", "probability"):
        assert vectors[name] == pytest.approx(photos[name], abs=1e-5)
    assert vectors["threshold"]["distance"] == pytest.approx(photos["threshold"]["distance"], abs=1e-5)


def test_a_photo_is_compared_with_a_vector(api: Api, embedded: Body) -> None:
    body = {"image1": base64_of(HOPPER), "embedding2": embedded["collins"], "model": embedded["model"]}
    answer = comparison(api.http.post("/verify", json=body))
    assert [face["image"] for face in answer["faces"]] == ["image1"]
    assert not answer["match"]


def test_a_vector_is_identified_as_its_photo(api: Api, gallery: str, embedded: Body, digest: str) -> None:
    answered(api.enroll(gallery, "hopper", HOPPER), 201)
    body = {"gallery": gallery, "embedding": embedded["again"], "model": digest}
    (face,) = answered(api.http.post("/identify", json=body))["faces"]
    assert face["candidates"] == api.candidates(HOPPER_AGAIN, gallery)
    assert [face[name] for name in FACE] == [None] * 5


def test_a_subject_is_verified_by_a_vector(api: Api, gallery: str, embedded: Body, digest: str) -> None:
    answered(api.enroll(gallery, "hopper", HOPPER), 201)
    path = f"{subject_path(gallery, 'hopper')}/verify"
    by_photo = comparison(api.verify_subject(gallery, "hopper", HOPPER_AGAIN))
    by_vector = comparison(api.http.post(path, json={"embedding": embedded["again"], "model": digest}))
    assert by_vector["match"]
    assert by_vector["distance"] == by_photo["distance"]
    assert not comparison(api.http.post(path, json={"embedding": embedded["collins"], "model": digest}))["match"]


def test_an_enrolled_vector_is_found_and_has_no_face_in_a_photo(
    api: Api, gallery: str, embedded: Body, digest: str
) -> None:
    body = answered(enroll(api, gallery, "hopper", embedding=embedded["hopper"], model=digest), 201)
    (enrolled,) = body["enrolled"]
    assert body["rejected"] == []
    assert (enrolled["index"], enrolled["faces_found"]) == (0, 1)
    assert [enrolled[name] for name in FACE] == [None] * 5
    assert api.names(HOPPER_AGAIN, gallery) == ["hopper"]
    (listed,) = answered(api.http.get(f"{subject_path(gallery, 'hopper')}/faces"))["faces"]
    assert listed == {name: enrolled[name] for name in listed}
    (exported,) = answered(api.http.get(f"{subject_path(gallery, 'hopper')}/export"))["faces"]
    assert exported["embedding"] == pytest.approx(embedded["hopper"], abs=1e-6)


def test_several_vectors_are_enrolled_in_order(api: Api, gallery: str, embedded: Body, digest: str) -> None:
    vectors = [embedded["hopper"], embedded["again"]]
    body = answered(enroll(api, gallery, "hopper", embeddings=vectors, model=digest), 201)
    assert [face["index"] for face in body["enrolled"]] == [0, 1]
    assert api.face_ids(gallery, "hopper") == [face["face_id"] for face in body["enrolled"]]


def test_an_idempotency_key_enrols_a_vector_once(api: Api, gallery: str, embedded: Body, digest: str) -> None:
    headers = {"Idempotency-Key": "vector"}
    first, again = (
        answered(enroll(api, gallery, "hopper", headers, embedding=embedded["hopper"], model=digest), 201)
        for _ in range(2)
    )
    assert first == again
    assert len(api.face_ids(gallery, "hopper")) == 1
    other = enroll(api, gallery, "hopper", headers, embedding=embedded["again"], model=digest)
    problem(other, 422, "invalid_request")


@pytest.mark.parametrize(("vector", "status", "code"), BAD.values(), ids=BAD)
def test_a_bad_vector_is_refused(api: Api, gallery: str, digest: str, vector: Any, status: int, code: str) -> None:
    api.create(gallery)
    problem(enroll(api, gallery, "ada", embedding=vector, model=digest), status, code)
    problem(api.http.post("/identify", json={"embedding": vector, "model": digest, "gallery": gallery}), status, code)
    pair = {"embedding1": vector, "embedding2": vector, "model": digest}
    problem(api.http.post("/verify", json=pair), status, code)
    assert answered(api.http.get(f"/galleries/{gallery}"))["faces"] == 0


def test_a_vector_of_another_model_is_refused(api: Api, gallery: str, embedded: Body) -> None:
    other = {"embedding": embedded["hopper"], "model": "sha256:" + "0" * 64}
    api.create(gallery)
    problem(enroll(api, gallery, "ada", **other), 409, "model_mismatch")
    problem(api.http.post("/identify", json={**other, "gallery": gallery}), 409, "model_mismatch")


def test_a_vector_without_its_model_is_refused(api: Api, gallery: str, embedded: Body) -> None:
    assert fields_of(enroll(api, gallery, "ada", embedding=embedded["hopper"])) == ["model"]


def test_a_photo_and_a_vector_for_one_field_are_refused(api: Api, embedded: Body, digest: str) -> None:
    both = {"image": base64_of(HOPPER), "embedding": embedded["hopper"], "model": digest}
    assert fields_of(api.http.post("/identify", json=both)) == ["embedding"]


def test_a_vector_does_not_pass_for_a_live_face(api: Api, gallery: str, embedded: Body, digest: str) -> None:
    body = {"embedding": embedded["hopper"], "model": digest, "liveness": "require"}
    assert fields_of(enroll(api, gallery, "ada", **body)) == ["liveness"]
    assert fields_of(api.http.post("/identify", json=body)) == ["liveness"]


def test_a_form_takes_no_vector(api: Api) -> None:
    response = api.post("/identify", part("image", HOPPER), embedding="[1.0]")
    assert "embedding" in fields_of(response)


def test_33_vectors_are_refused(api: Api, gallery: str, embedded: Body, digest: str) -> None:
    problem(enroll(api, gallery, "ada", embeddings=[embedded["hopper"]] * 33, model=digest), 422, "invalid_request")


def test_vectors_need_the_scope_embed_too(service: Service, gallery: str, embedded: Body, digest: str) -> None:
    vector = {"embedding": embedded["hopper"], "model": digest}
    requests: list[tuple[Scope, str, Body]] = [
        (Scope.ENROLL, f"{subject_path(gallery, 'ada')}/faces", vector),
        (Scope.IDENTIFY, "/identify", {**vector, "gallery": gallery}),
        (Scope.VERIFY, f"{subject_path(gallery, 'ada')}/verify", vector),
        (
            Scope.VERIFY,
            "/verify",
            {"embedding1": embedded["hopper"], "embedding2": embedded["again"], "model": digest},
        ),
    ]
    for scope, path, body in requests:
        problem(service.client(service.new_key(scope)).post(path, json=body), 403, "forbidden")
        answer = service.client(service.new_key(scope, Scope.EMBED)).post(path, json=body)
        assert answer.status_code in {200, 201}, answer.text
