"""Every refusal is an RFC 9457 problem with the contract's code."""

import pytest

from .contract import problem
from .likeness import part
from .photos import HOPPER_JPEG, base64_of, collins, jpeg, noise, png

HOPPER, COLLINS = HOPPER_JPEG.read_bytes(), jpeg(collins())
IMAGES = {"image1": base64_of(HOPPER), "image2": base64_of(COLLINS)}
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("path", ["/nowhere", "/v1/nowhere", "/v2/verify", "/verify/x", "/%FF"])
def test_an_unknown_route_is_not_found(http, path):
    problem(http.get(path), 404, "not_found")


@pytest.mark.parametrize(("method", "path"), [("GET", "/verify"), ("DELETE", "/models"), ("PUT", "/v1/identify")])
def test_a_wrong_method_is_not_allowed(http, method, path):
    response = http.request(method, path)
    assert response.status_code == 405
    problem(response, 405, response.json()["code"])


def test_a_problem_carries_the_request_id_of_the_caller(http):
    response = http.post("/verify", json={}, headers={"X-Request-ID": "trace-0815"})
    assert problem(response, 422, "invalid_request")["request_id"] == "trace-0815"


def test_every_problem_has_a_request_id_of_its_own(http):
    ids = {problem(http.get("/nowhere"), 404, "not_found")["request_id"] for _ in range(3)}
    assert len(ids) == 3


@pytest.mark.parametrize("headers", [{}, JSON, {"content-type": "multipart/form-data; boundary=x"}])
def test_an_empty_body_is_refused(http, headers):
    response = http.post("/verify", content=b"", headers=headers)
    problem(response, response.status_code, "invalid_request", "unsupported_media_type")
    assert response.status_code in {415, 422}


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data", "nonsense"])
def test_a_body_of_another_kind_is_refused(http, kind):
    response = http.post("/verify", content=b"image1=a&image2=b", headers={"content-type": kind})
    assert response.status_code in {400, 415, 422}, response.text
    problem(response, response.status_code, response.json()["code"])


@pytest.mark.parametrize("body", [b"{", b"", b"\xff\xfe{}", b"[]", b'"text"', b"5", b"null", b"[" * 100_000])
def test_json_that_is_no_object_is_refused(http, body):
    problem(http.post("/verify", content=body, headers=JSON), 422, "invalid_request")


@pytest.mark.parametrize("missing", ["image1", "image2"])
def test_a_missing_image_is_named(http, missing):
    given = {"image1": HOPPER, "image2": COLLINS}
    del given[missing]
    by_form = problem(http.post("/verify", files=given), 422, "invalid_request")
    by_json = problem(
        http.post("/verify", json={name: base64_of(data) for name, data in given.items()}), 422, "invalid_request"
    )
    assert missing in str(by_form.get("errors")) + by_form["detail"]
    assert missing in str(by_json.get("errors")) + by_json["detail"]


@pytest.mark.parametrize("value", [5, True, [], {}, [base64_of(HOPPER)], {"data": base64_of(HOPPER)}])
def test_an_image_that_is_no_text_in_json_is_refused(http, value):
    problem(http.post("/verify", json={**IMAGES, "image1": value}), 422, "invalid_request")


def test_a_null_image_is_a_missing_one(http):
    problem(http.post("/verify", json={**IMAGES, "image1": None}), 422, "invalid_request")


@pytest.mark.parametrize(
    "fields",
    [
        {"face": 5},
        {"face": ["largest"]},
        {"fmr": "often"},
        {"fmr": []},
        {"fmr": {}},
        {"threshold": -1},
        {"threshold": 5},
        {"fmr": -0.001},
        {"fmr": 2},
        {"fmr": 0.001, "threshold": 1.0},
    ],
    ids=str,
)
def test_a_field_of_the_wrong_type_or_size_is_refused(http, fields):
    body = problem(http.post("/verify", json={**IMAGES, **fields}), 422, "invalid_request")
    assert any(name in str(body.get("errors")) + body["detail"] for name in fields)


def test_a_text_field_in_place_of_a_file_is_refused(http):
    response = http.post("/verify", files=[part("image2", COLLINS)], data={"image1": "hello"})
    problem(response, 422, "invalid_request", "invalid_image")


@pytest.mark.parametrize("images", [{"image1": 0}, {"image2": 1}], ids=["image1", "image2"])
def test_the_image_at_fault_is_named(likeness, images):
    ((name, place),) = images.items()
    for bad, code in [(png(noise()), "face_not_found"), (b"no image at all", "invalid_image")]:
        pair = [HOPPER, HOPPER]
        pair[place] = bad
        assert problem(likeness.verify(*pair), 422, code)["image"] == name


@pytest.mark.parametrize("value", ["!!!", "data:image/jpeg;base64,", "data:,", "Zm9v", "A", "", "é", "A" * 4001])
def test_base64_garbage_is_refused(http, value):
    problem(http.post("/verify", json={**IMAGES, "image2": value}), 422, "invalid_image", "invalid_request")


@pytest.mark.parametrize("url", ["http://127.0.0.1/photo.jpg", "file:///etc/passwd", "/etc/passwd"])
def test_an_address_is_not_fetched(http, url):
    problem(http.post("/verify", json={**IMAGES, "image1": url}), 422, "invalid_image", "invalid_request")


def test_a_problem_tells_no_internals(http, likeness):
    texts = [likeness.verify(b"no image", HOPPER).text, http.post("/verify", content=b"{", headers=JSON).text]
    assert not any(word in text for text in texts for word in ("Traceback", "site-packages", ".py"))
