"""Every response has exactly one request id that is safe to log."""

import uuid

import pytest
from starlette.testclient import TestClient

SAFE = ["trace-0815", "a/b:c@d.e+f=_", "x" * 128]
UNSAFE = ["", " ", "two words", "x" * 129, "line\tfeed", '"quoted"', "<script>", "\x7f", "é", "a;b", "{}"]


@pytest.mark.parametrize("given", SAFE)
def test_safe_id_is_kept(client: TestClient, given: str) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", UNSAFE)
def test_unsafe_id_is_replaced(client: TestClient, given: str) -> None:
    response = client.get("/nowhere", headers=[(b"x-request-id", given.encode("latin-1"))])
    request_id = response.headers["x-request-id"]

    assert str(uuid.UUID(request_id)) == request_id
    assert response.json()["request_id"] == request_id


def test_response_has_one_id_header(client: TestClient) -> None:
    for path in ("/healthz", "/nowhere", "/docs"):
        assert len(client.get(path).headers.get_list("x-request-id")) == 1


def test_response_about_a_photo_contains_the_id_of_its_header(client: TestClient, portrait: bytes) -> None:
    response = client.post("/detect", files={"image": portrait})

    assert response.json()["request_id"] == response.headers["x-request-id"]
