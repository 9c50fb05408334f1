"""One JSON object a line, with what an operator needs and nothing of what the callers sent."""

import json
import re

import pytest

from .likeness import part
from .operating import Wire, id_of, new_keys, with_key
from .photos import hopper, jpeg, noise, png
from .server import Server

MARK = "Zq7"  # in everything that a caller chooses, and in no key, digest or word of the service
ADA = f"/galleries/{MARK}-gallery/subjects/{MARK}-subject"
REQUEST_FIELDS = {"time", "level", "logger", "message", "request_id", "route", "method", "status", "ms", "caller"}


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """The key used, and the log after traffic with recognisable words wherever a caller can put one."""
    data_dir = tmp_path_factory.mktemp("logs") / "data"
    (key,) = new_keys(data_dir, ["--scopes", "admin"])
    photos = [part("image", jpeg(hopper())), ("image", (f"{MARK}.png", png(noise()), "image/png"))]
    with Server(data_dir) as server, with_key(server, key).http as http:
        http.get("/models", headers={"X-Request-ID": "followed"})
        http.put(ADA, json={"metadata": {f"{MARK}-name": f"{MARK}-value"}})
        http.post(f"{ADA}/faces", files=photos, headers={"Idempotency-Key": f"{MARK}-once"})
        http.get(f"{ADA}/export")
        http.get(f"{ADA}/faces/{MARK}", params={"token": f"{MARK}-query"})
        http.get(f"/{MARK}-path/\u202e{MARK}", params={"cursor": f"{MARK}-cursor"})
        http.get(f"/galleries/{MARK}-gallery/subjects", params={"cursor": f"{MARK}-cursor", "limit": f"{MARK}"})
        http.post("/identify", files=[photos[0]], data={"gallery": f"{MARK}-nowhere"})
        http.post("/identify", files=[photos[0]], data={"gallery": f"{MARK}-gallery", "top_k": f"{MARK}"})
        http.post("/detect", files=[("image", (f"{MARK}\n.jpg", f"{MARK} is no image".encode(), f"image/{MARK}"))])
        http.post("/detect", files=[(f"{MARK}-field", (f"{MARK}.jpg", b"", "image/png"))], data={MARK: MARK})
        http.post("/detect", content=f'{{"image": "{MARK}", '.encode(), headers={"Content-Type": "application/json"})
        http.post("/detect", content=MARK.encode(), headers={"Content-Type": f"text/{MARK}"})
        http.put(ADA, content=f"{MARK}".encode(), headers={"Content-Type": "application/json"})
        http.get("/models", headers={"X-API-Key": f"lk_{MARK}_{MARK}"})
        http.get("/models", headers={"User-Agent": MARK, "Referer": MARK, "Cookie": MARK, "X-Forwarded-For": MARK})
        http.get("/models", headers={"X-Request-ID": f'{MARK} "\\{{}}'})
        http.request(f"{MARK.upper()}", "/models")
        http.delete(ADA)
        with Wire(server) as wire:
            wire.send(f"{MARK} {MARK}\r\n\r\n".encode()).answer()
        with Wire(server) as wire:
            wire.head("POST", "/detect", 99, X_API_Key=key).send(MARK.encode())
    return key, server.log.read_text()


@pytest.fixture(scope="module")
def requests(logged):
    lines = [json.loads(line) for line in logged[1].splitlines()]
    return [line for line in lines if "route" in line]


def test_every_line_is_one_json_object(logged):
    lines = [json.loads(line) for line in logged[1].splitlines()]
    assert all(line.keys() >= {"time", "level", "logger", "message", "request_id"} for line in lines)
    assert {line["level"] for line in lines} <= {"debug", "info", "warning", "error", "critical"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["time"]) for line in lines)


def test_nothing_that_a_caller_sent_is_in_it(logged):
    assert MARK.lower() not in logged[1].lower()


def test_no_key_is_in_it_but_its_id_is(logged):
    key, log = logged
    assert key.split("_", 2)[2] not in log
    assert f"key:{id_of(key)}" in log


def test_no_traceback_is_in_it(logged):
    assert "Traceback" not in logged[1]


def test_a_request_has_its_line_with_who_what_and_how_long(requests):
    (line,) = [line for line in requests if line["request_id"] == "followed"]
    assert line.keys() == REQUEST_FIELDS
    assert (line["route"], line["method"], line["status"]) == ("/models", "GET", 200)
    assert 0 < line["ms"] < 60_000
    assert line["caller"].startswith("key:")


def test_a_route_is_written_as_its_template(requests):
    routes = {line["route"] for line in requests}
    assert routes >= {"unmatched", "/identify", "/galleries/{gallery}/subjects/{subject}/faces"}


def test_a_refused_request_is_logged_without_a_caller(requests):
    (line,) = [line for line in requests if line["status"] == 401]
    assert line["caller"] is None


def test_a_log_may_be_read_by_people(tmp_path):
    with Server(tmp_path / "data", LIKENESS_LOG_FORMAT="text") as server:
        server.is_ready()
    lines = server.log.read_text().splitlines()
    assert lines
    assert not any(line.startswith("{") for line in lines)


def test_a_quieter_log_has_no_line_for_what_went_well(tmp_path):
    with Server(tmp_path / "data", LIKENESS_LOG_LEVEL="warning") as server:
        server.is_ready()
    assert server.log.read_text() == ""
