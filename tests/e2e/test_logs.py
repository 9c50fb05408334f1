"""The log has one JSON object for each line, with what an operator needs and no data of the callers."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.api import Api, part
from tests.support.commands import id_of, new_keys, secret_of, with_key
from tests.support.photos import HOPPER, NO_FACE
from tests.support.server import Server
from tests.support.wire import Wire

MARK = "Zq7"  # in everything that a caller chooses, and in no key, digest or word of the service
ADA = f"/galleries/{MARK}-gallery/subjects/{MARK}-subject"
REQUEST_FIELDS = {"time", "level", "logger", "message", "request_id", "route", "method", "status", "ms", "caller"}


class Logged(NamedTuple):
    key: str
    text: str

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def requests(self) -> list[dict[str, Any]]:
        return [line for line in self.lines() if "route" in line]


def marked_traffic(api: Api) -> None:
    """Send the mark wherever a caller can choose a name or a value."""
    http, photos = api.http, [part("image", HOPPER), ("image", (f"{MARK}.png", NO_FACE, "image/png"))]
    json_type = {"Content-Type": "application/json"}
    http.get("/models", headers={"X-Request-ID": "followed"})
    http.put(ADA, json={"metadata": {f"{MARK}-name": f"{MARK}-value"}})
    http.post(f"{ADA}/faces", files=photos, headers={"Idempotency-Key": f"{MARK}-once"})
    http.get(f"{ADA}/export")
    http.get(f"{ADA}/faces/{MARK}", params={"token": f"{MARK}-query"})
    http.get(f"/{MARK}-path/\u202e{MARK}", params={"cursor": f"{MARK}-cursor"})
    http.get(f"/galleries/{MARK}-gallery/subjects", params={"cursor": f"{MARK}-cursor", "limit": f"{MARK}"})
    api.identify(HOPPER, gallery=f"{MARK}-nowhere")
    api.identify(HOPPER, gallery=f"{MARK}-gallery", top_k=f"{MARK}")
    http.post("/detect", files=[("image", (f"{MARK}\n.jpg", f"{MARK} is no image".encode(), f"image/{MARK}"))])
    http.post("/detect", files=[(f"{MARK}-field", (f"{MARK}.jpg", b"", "image/png"))], data={MARK: MARK})
    http.post("/detect", content=f'{{"image": "{MARK}", '.encode(), headers=json_type)
    http.post("/detect", content=MARK.encode(), headers={"Content-Type": f"text/{MARK}"})
    http.put(ADA, content=f"{MARK}".encode(), headers=json_type)
    http.get("/models", headers={"X-API-Key": f"lk_{MARK}_{MARK}"})
    http.get("/models", headers={"User-Agent": MARK, "Referer": MARK, "Cookie": MARK, "X-Forwarded-For": MARK})
    http.get("/models", headers={"X-Request-ID": f'{MARK} "\\{{}}'})
    http.request(f"{MARK.upper()}", "/models")
    http.delete(ADA)


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    data_dir = tmp_path_factory.mktemp("logs") / "data"
    (key,) = new_keys(data_dir, ["--scopes", "admin"])
    with Server(data_dir) as server, with_key(server, key) as api:
        marked_traffic(api)
        with Wire(server) as wire:
            wire.send(f"{MARK} {MARK}\r\n\r\n".encode()).answer()
        with Wire(server) as wire:
            wire.head("POST", "/detect", 99, X_API_Key=key).send(MARK.encode())
    return Logged(key, server.log.read_text())


def test_every_line_is_one_json_object(logged: Logged) -> None:
    lines = logged.lines()
    assert all(line.keys() >= {"time", "level", "logger", "message", "request_id"} for line in lines)
    assert {line["level"] for line in lines} <= {"debug", "info", "warning", "error", "critical"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["time"]) for line in lines)


def test_no_data_of_a_caller_no_secret_and_no_traceback_is_in_it(logged: Logged) -> None:
    assert MARK.lower() not in logged.text.lower()
    assert secret_of(logged.key) not in logged.text
    assert f"key:{id_of(logged.key)}" in logged.text
    assert "Traceback" not in logged.text


def test_a_request_has_its_line_with_route_caller_status_and_duration(logged: Logged) -> None:
    (line,) = [line for line in logged.requests() if line["request_id"] == "followed"]
    assert line.keys() == REQUEST_FIELDS
    assert (line["route"], line["method"], line["status"]) == ("/models", "GET", 200)
    assert 0 < line["ms"] < 60_000
    assert line["caller"].startswith("key:")


def test_a_route_is_written_as_its_template(logged: Logged) -> None:
    routes = {line["route"] for line in logged.requests()}
    assert routes >= {"unmatched", "/identify", "/galleries/{gallery}/subjects/{subject}/faces"}


def test_a_request_without_a_valid_key_is_logged_with_its_address(logged: Logged) -> None:
    assert [line["caller"] for line in logged.requests() if line["status"] == 401] == ["address:127.0.0.1"]


def test_a_log_may_be_plain_text(tmp_path: Path) -> None:
    with Server(tmp_path / "data", LIKENESS_LOG_FORMAT="text") as server:
        server.is_ready()
    lines = server.log.read_text().splitlines()
    assert lines
    assert not any(line.startswith("{") for line in lines)
