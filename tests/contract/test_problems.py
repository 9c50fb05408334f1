"""Every refusal is an RFC 9457 problem with the contract's code, and every answer has a request id."""

import uuid
from typing import Any

import httpx2
import pytest

from tests.support.answers import problem
from tests.support.api import Api, part
from tests.support.photos import COLLINS, HOPPER, NO_FACE, base64_of

IMAGES = {"image1": base64_of(HOPPER), "image2": base64_of(COLLINS)}
JSON = {"content-type": "application/json"}
MIB = 2**20


@pytest.mark.parametrize("path", ["/nowhere", "/v1/nowhere", "/v2/verify", "/verify/x", "/%FF"])
def test_an_unknown_route_is_not_found(http: httpx2.Client, path: str) -> None:
    problem(http.get(path), 404, "not_found")


@pytest.mark.parametrize(("method", "path"), [("GET", "/verify"), ("DELETE", "/models"), ("PUT", "/v1/identify")])
def test_a_wrong_method_is_not_allowed(http: httpx2.Client, method: str, path: str) -> None:
    problem(http.request(method, path), 405, "method_not_allowed")


@pytest.mark.parametrize("given", ["trace-0815", "a/b:c@d.e+f=_", "x" * 128])
def test_a_harmless_request_id_is_kept(http: httpx2.Client, given: str) -> None:
    response = http.get("/nowhere", headers={"X-Request-ID": given})
    assert response.headers["x-request-id"] == problem(response, 404, "not_found")["request_id"] == given
    assert http.get("/healthz", headers={"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize(
    "given", [b"", b"two words", b"x" * 129, b'"quoted"', b"<script>", b"\xe9", b"a;b", b"{}", b"a\tb"]
)
def test_a_request_id_that_is_unsafe_to_log_is_replaced(http: httpx2.Client, given: bytes) -> None:
    response = http.get("/nowhere", headers=[(b"x-request-id", given)])
    (answered,) = response.headers.get_list("x-request-id")
    assert str(uuid.UUID(answered)) == answered
    assert response.json()["request_id"] == answered


def test_every_answer_has_a_request_id_of_its_own(api: Api) -> None:
    responses = [api.detect(HOPPER) for _ in range(2)] + [api.http.get(path) for path in ("/nowhere", "/docs")]
    ids = [response.headers["x-request-id"] for response in responses]
    assert len(set(ids)) == 4
    assert [response.json()["request_id"] for response in responses[:3]] == ids[:3]


@pytest.mark.parametrize("headers", [{}, JSON, {"content-type": "multipart/form-data; boundary=x"}], ids=str)
def test_an_empty_body_is_refused(http: httpx2.Client, headers: dict[str, str]) -> None:
    problem(http.post("/verify", content=b"", headers=headers), 422, "invalid_request")


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data", "nonsense"])
def test_a_body_of_another_kind_is_refused(http: httpx2.Client, kind: str) -> None:
    response = http.post("/verify", content=b"image1=a&image2=b", headers={"content-type": kind})
    assert response.status_code in {400, 415, 422}, response.text
    problem(response, response.status_code, response.json()["code"])


@pytest.mark.parametrize("body", [b"{", b"", b"\xff\xfe{}", b"[]", b'"text"', b"5", b"null", b"[" * 100_000])
def test_json_that_is_no_object_is_refused(http: httpx2.Client, body: bytes) -> None:
    problem(http.post("/verify", content=body, headers=JSON), 422, "invalid_request")


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("path", ["/verify", "/galleries/g/subjects/s/faces"])
def test_a_body_beyond_the_limit_is_refused(http: httpx2.Client, path: str, kind: str) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + b"x" * (65 * MIB)
    problem(http.post(path, content=body, headers={"Content-Type": kind}), 413, "image_too_large")


def test_metadata_beyond_the_limit_is_refused_and_makes_no_subject(api: Api, gallery: str) -> None:
    path, body = f"/galleries/{gallery}/subjects/ada", b'{"metadata": {"a": "' + b"x" * MIB
    api.create(gallery)
    problem(api.http.put(path, content=body, headers=JSON), 422, "metadata_too_large")
    problem(api.http.get(path), 404, "not_found")


@pytest.mark.parametrize("size", [65 * MIB, 200_000])
def test_the_limit_of_metadata_is_told_however_long_the_body_is(api: Api, gallery: str, size: int) -> None:
    body = b'{"metadata": {"a": "' + b"x" * size
    answer = api.http.put(f"/galleries/{gallery}/subjects/ada", content=body, headers=JSON)
    problem(answer, 422, "metadata_too_large")


@pytest.mark.parametrize("missing", ["image1", "image2"])
def test_a_missing_image_is_named(http: httpx2.Client, missing: str) -> None:
    given = {name: data for name, data in {"image1": HOPPER, "image2": COLLINS}.items() if name != missing}
    in_json = {name: base64_of(data) for name, data in given.items()}
    for response in (http.post("/verify", files=given), http.post("/verify", json=in_json)):
        body = problem(response, 422, "invalid_request")
        assert missing in str(body.get("errors")) + body["detail"]


@pytest.mark.parametrize("value", [5, True, [], {}, None, [base64_of(b"x")], {"data": base64_of(b"x")}], ids=str)
def test_an_image_that_is_no_text_in_json_is_refused(http: httpx2.Client, value: Any) -> None:
    problem(http.post("/verify", json={**IMAGES, "image1": value}), 422, "invalid_request")


def test_a_text_field_in_place_of_a_file_is_refused(http: httpx2.Client) -> None:
    response = http.post("/verify", files=[part("image2", COLLINS)], data={"image1": "hello"})
    problem(response, 422, "invalid_request", "invalid_image")


@pytest.mark.parametrize(("bad", "code"), [(NO_FACE, "face_not_found"), (b"no image at all", "invalid_image")])
def test_the_image_at_fault_is_named(api: Api, bad: bytes, code: str) -> None:
    assert problem(api.verify(bad, HOPPER), 422, code)["image"] == "image1"
    assert problem(api.verify(HOPPER, bad), 422, code)["image"] == "image2"


@pytest.mark.parametrize("value", ["!!!", "data:image/jpeg;base64,", "data:,", "Zm9v", "A", "", "é", "A" * 4001])
def test_base64_garbage_is_refused(http: httpx2.Client, value: str) -> None:
    problem(http.post("/verify", json={**IMAGES, "image2": value}), 422, "invalid_image", "invalid_request")


@pytest.mark.parametrize("url", ["http://127.0.0.1/photo.jpg", "file:///etc/passwd", "/etc/passwd"])
def test_an_address_is_not_fetched(http: httpx2.Client, url: str) -> None:
    problem(http.post("/verify", json={**IMAGES, "image1": url}), 422, "invalid_image", "invalid_request")


def test_a_problem_shows_no_internals(api: Api) -> None:
    texts = [api.verify(b"no image", HOPPER).text, api.http.post("/verify", content=b"{", headers=JSON).text]
    assert not any(word in text for text in texts for word in ("Traceback", "site-packages", ".py"))
