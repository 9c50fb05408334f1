"""nginx with docker/tls terminates TLS in front of a real server, which sees the client's address and no forged one."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from app.api.problems import PROBLEM_TYPES
from app.settings import Settings
from tests.support.api import Api
from tests.support.server import HOST, Server

from .manifests import REPOSITORY
from .nginx import NGINX, TLS, Nginx

PHOTO = REPOSITORY / "docs" / "images" / "collins.jpg"
CONFIGURATION = (TLS / "likeness.conf").read_text()
FORGED = "203.0.113.9"
BODY_LIMIT = Settings.model_fields["max_body_bytes"].default
KIB = 1024
LOGGED_WITHIN = 30.0

needs_nginx = pytest.mark.skipif(NGINX is None, reason="no nginx here: apt-get install nginx-light")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("data"), LIKENESS_TRUSTED_PROXIES=HOST, LIKENESS_RATE_LIMIT="20") as running:
        yield running


@pytest.fixture(scope="module")
def nginx(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with Nginx(tmp_path_factory.mktemp("nginx"), server) as running:
        yield running


def logged(server: Server, request_id: str) -> dict[str, Any]:
    """The line of the server's log about this request; it is written after the answer."""
    deadline = time.monotonic() + LOGGED_WITHIN
    while time.monotonic() < deadline:
        lines = [json.loads(line) for line in server.log.read_text().splitlines() if request_id in line]
        if answered := [line for line in lines if line["message"] == "answered"]:
            return dict(answered[0])
        time.sleep(0.05)
    pytest.fail(f"no line about {request_id} in {LOGGED_WITHIN:.0f} s:\n{server.log.read_text()}")


def zeros(size: int) -> Iterator[bytes]:
    """A body of `size` bytes whose length the client does not announce."""
    yield from (bytes(64 * KIB) for _ in range(size // (64 * KIB)))
    yield bytes(size % (64 * KIB))


@needs_nginx
def test_a_photo_is_answered_over_tls_and_nothing_without(nginx: Nginx) -> None:
    with nginx.client("127.0.0.2") as client:
        answer = Api(client).detect(PHOTO.read_bytes())
    unencrypted = httpx2.get(f"http://{HOST}:{nginx.port}/readyz")
    assert answer.status_code == 200
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert unencrypted.status_code == 400


@needs_nginx
@pytest.mark.parametrize("headers", [{}, {"X-Forwarded-For": FORGED}, {"X-Forwarded-For": HOST}])
def test_the_log_has_the_real_address_of_the_client(nginx: Nginx, server: Server, headers: dict[str, str]) -> None:
    with nginx.client("127.0.0.3") as client:
        answer = client.get("/models", headers=headers)
    assert logged(server, answer.headers["X-Request-ID"])["caller"] == "address:127.0.0.3"


@needs_nginx
def test_a_client_on_the_proxys_own_machine_cannot_forge_its_address_either(nginx: Nginx, server: Server) -> None:
    with nginx.client(HOST) as client:
        answer = client.get("/models", headers={"X-Forwarded-For": FORGED})
    assert logged(server, answer.headers["X-Request-ID"])["caller"] == f"address:{HOST}"


@needs_nginx
def test_the_service_believes_nobody_but_the_proxy(nginx: Nginx, server: Server) -> None:  # noqa: ARG001
    transport = httpx2.HTTPTransport(local_address="127.0.0.4")
    with httpx2.Client(base_url=server.url, transport=transport) as direct:
        answer = direct.get("/models", headers={"X-Forwarded-For": FORGED})
    assert logged(server, answer.headers["X-Request-ID"])["caller"] == "address:127.0.0.4"


@needs_nginx
def test_each_client_has_a_rate_of_its_own_that_a_forged_address_does_not_renew(nginx: Nginx) -> None:
    with nginx.client("127.0.0.5") as busy, nginx.client("127.0.0.6") as other:
        forged = ({"X-Forwarded-For": f"203.0.113.{number}"} for number in range(200))
        answers = [busy.get("/models", headers=each) for each in forged]
        from_other = other.get("/models")
    assert 429 in {answer.status_code for answer in answers}
    assert {answer.headers["RateLimit-Limit"] for answer in answers} == {"20"}
    assert from_other.status_code == 200
    assert from_other.headers["RateLimit-Remaining"] == "19"


@needs_nginx
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_a_body_beyond_the_limit_gets_the_problem_that_the_service_would_give(nginx: Nginx, *, announced: bool) -> None:
    size = BODY_LIMIT + 1
    headers = {"Content-Type": "application/json"} | ({"Content-Length": str(size)} if announced else {})
    with nginx.client("127.0.0.7") as client:
        answer = client.post("/detect", content=zeros(size), headers=headers)
    problem = answer.json()
    assert answer.status_code == problem["status"] == 413
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["code"] == "image_too_large"
    assert problem["title"] == PROBLEM_TYPES["image_too_large"].title
    assert problem["request_id"] == answer.headers["X-Request-ID"]


@needs_nginx
def test_a_body_at_the_limit_reaches_the_service(nginx: Nginx, server: Server) -> None:
    with nginx.client("127.0.0.8") as client:
        answer = client.post("/detect", content=zeros(BODY_LIMIT), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert logged(server, answer.headers["X-Request-ID"])["caller"] == "address:127.0.0.8"


@needs_nginx
def test_a_large_photo_is_not_written_to_the_proxys_disk(nginx: Nginx) -> None:
    before = (nginx.folder / "body").stat().st_mtime_ns
    with nginx.client("127.0.0.9") as client:
        client.post("/detect", content=zeros(BODY_LIMIT // 4), headers={"Content-Type": "application/json"})
    assert (nginx.folder / "body").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("directive", "field"), [("client_header_timeout", "head_timeout"), ("client_body_timeout", "upload_timeout")]
)
def test_a_time_of_the_proxy_is_that_of_the_service(directive: str, field: str) -> None:
    (seconds,) = re.findall(rf"^ *{directive} (\d+)s;", CONFIGURATION, re.MULTILINE)
    assert float(seconds) == Settings.model_fields[field].default


def test_the_proxy_waits_longer_for_an_answer_than_the_service_takes() -> None:
    (seconds,) = re.findall(r"proxy_read_timeout (\d+)s;", CONFIGURATION)
    fields = Settings.model_fields
    assert float(seconds) > fields["deadline"].default + fields["upload_timeout"].default


def test_outside_of_a_container_the_proxy_asks_the_services_default_port() -> None:
    address = (TLS / "address.conf").read_text()
    assert f"default {HOST}:{Settings.model_fields['port'].default};" in address
