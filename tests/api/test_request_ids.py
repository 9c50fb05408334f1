"""Every answer has a request id that is harmless to log."""

import uuid

import pytest
from starlette.testclient import TestClient

SAFE = ["trace-0815", "a/b:c@d.e+f=_", "x" * 128]
UNSAFE = ["", " ", "two words", "x" * 129, "line\tfeed", '"quoted"', "<script>", "\x7f", "é", "a;b", "{}"]


@pytest.mark.parametrize("given", SAFE)
def test_a_harmless_id_is_kept(client: TestClient, given: str) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", UNSAFE)
def test_an_id_that_is_unsafe_to_log_is_replaced(client: TestClient, given: str) -> None:
    response = client.get("/nowhere", headers=[(b"x-request-id", given.encode("latin-1"))])
    answered = response.headers["x-request-id"]

    assert str(uuid.UUID(answered)) == answered
    assert response.json()["request_id"] == answered


def test_there_is_one_id_header_in_an_answer(client: TestClient) -> None:
    for path in ("/healthz", "/nowhere", "/docs"):
        assert len(client.get(path).headers.get_list("x-request-id")) == 1


def test_an_answer_about_a_photo_says_the_id_of_its_header(client: TestClient, portrait: bytes) -> None:
    response = client.post("/detect", files={"image": portrait})

    assert response.json()["request_id"] == response.headers["x-request-id"]
