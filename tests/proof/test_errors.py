"""Every error that the table documents can be met, on servers that run, with the status and form that it promises."""

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial

import httpx2
import pytest
from PIL import Image

from app.api.problems import PROBLEM_TYPES
from tests.end_to_end.contract import problem
from tests.end_to_end.hostile import PDF, huge_png_header
from tests.end_to_end.likeness import Likeness
from tests.end_to_end.server import Server
from tests.support.background import map_in_threads

from .hostile_forms import request
from .opening import bearer, client, new_key
from .other_model import other_models
from .photos import COLLINS, HOPPER, encoded, no_face, small, small_jpeg
from .small_disk import Disk, ServerOn
from .wire import Wire

Provocation = Callable[[Likeness], httpx2.Response]

PLAIN: dict[str, Provocation] = {
    "face_not_found": lambda likeness: likeness.verify(no_face(), COLLINS),
    "multiple_faces": lambda likeness: likeness.verify(two_faces(), COLLINS, face="only"),
    "low_quality": lambda likeness: likeness.enroll("staff", "collins", small_jpeg(COLLINS, side=140)),
    "invalid_image": lambda likeness: likeness.detect(b"no image"),
    "unsupported_image": lambda likeness: likeness.detect(PDF),
    "image_too_large": lambda likeness: likeness.detect(huge_png_header()),
    "invalid_request": lambda likeness: likeness.verify(COLLINS, HOPPER, fmr="0.1", threshold="1"),
    "unsupported_operating_point": lambda likeness: likeness.verify(COLLINS, HOPPER, fmr="1e-12"),
    "not_found": lambda likeness: likeness.http.get("/galleries/nowhere"),
    "method_not_allowed": lambda likeness: likeness.http.get("/verify"),
}
"""Met by anyone, on a server as it comes."""

GUARDED: dict[str, Provocation] = {
    "unauthorized": lambda likeness: likeness.http.get("/models", headers=bearer("lk_none_such")),
    "forbidden": lambda likeness: likeness.http.get("/galleries"),
    "overloaded": lambda likeness: first_refused(partial(likeness.verify, COLLINS, HOPPER), at_once=12),
    "rate_limited": lambda likeness: first_refused(partial(likeness.http.get, "/models"), at_once=100),
}
"""Met on a server with keys and little room, by one who may verify, thirty times a second."""

ALONE = {"upload_timeout", "deadline_exceeded", "model_mismatch", "storage_full", "internal_error"}
"""Each has a test of its own below."""


def two_faces() -> bytes:
    canvas = Image.new("RGB", (640, 320))
    for left, photo in ((0, COLLINS), (320, HOPPER)):
        canvas.paste(small(photo, side=320), (left, 0))
    return encoded(canvas, "JPEG", quality=95)


def first_refused(call: Callable[[], httpx2.Response], *, at_once: int) -> httpx2.Response:
    """Of many at once, one that is no success."""
    answers = map_in_threads(lambda _: call(), range(at_once), at_once)
    return next(answer for answer in answers if not answer.is_success)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Likeness]:
    with Server(tmp_path_factory.mktemp("plain") / "data") as server, client(server) as likeness:
        yield likeness


@pytest.fixture(scope="module")
def little(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("little") / "data"
    room = {"MAX_WAITING": "1", "PHOTO_THREADS": "1", "UPLOAD_TIMEOUT": "1", "MAX_HEADER_BYTES": "2048"}
    with Server(data, **{f"LIKENESS_{name}": value for name, value in room.items()}) as server:
        yield server


@pytest.fixture(scope="module")
def guarded(little: Server) -> Iterator[Likeness]:
    key = new_key(little.data_dir, "--scopes", "verify", "--rate", "30")
    with client(little, **bearer(key)) as likeness:
        yield likeness


def test_every_code_of_the_table_is_met_here():
    assert PLAIN.keys() | GUARDED.keys() | ALONE == PROBLEM_TYPES.keys()


def test_every_code_of_the_table_is_documented_with_the_operation(plain):
    verify = plain.http.get("/openapi.json").json()["paths"]["/verify"]["post"]["responses"]
    missing = [
        code for code, kind in PROBLEM_TYPES.items() if f"`{code}`" not in verify[str(int(kind.status))]["description"]
    ]
    assert missing == []


@pytest.mark.parametrize("code", PLAIN)
def test_anyone_can_meet(plain, code):
    assert_promised(PLAIN[code](plain), code)


@pytest.mark.parametrize("code", GUARDED)
def test_a_guarded_service_answers(guarded, code):
    assert_promised(GUARDED[code](guarded), code)


@pytest.mark.parametrize("code", ["overloaded", "rate_limited"])
def test_who_is_asked_to_come_back_is_told_when(guarded, code):
    assert int(GUARDED[code](guarded).headers["retry-after"]) >= 1


def test_who_brings_no_key_is_told_how_to(guarded):
    assert GUARDED["unauthorized"](guarded).headers["www-authenticate"].startswith("Bearer")


def test_a_body_that_does_not_come_is_not_waited_for(little):
    key = new_key(little.data_dir, "--scopes", "verify")
    with Wire(little.port) as wire:
        reply = wire.ask(request("/detect", b"--likeness-proof\r\n", b"X-API-Key: " + key.encode(), length=1000))
    assert reply is not None
    assert (reply.status, reply.code) == (408, "upload_timeout")


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"GET /models HTTP/1.1\r\nX: " + b"a" * 4000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"\0\0\r\n\r\n", 400, "invalid_http"),
    ],
    ids=["a long head", "no HTTP"],
)
def test_what_is_refused_before_there_is_a_request_is_a_problem_too(little, data, status, code):
    with Wire(little.port) as wire:
        reply = wire.ask(data)
    assert reply is not None
    assert (reply.status, reply.code, reply.closes) == (status, code, True)


def test_an_answer_that_takes_too_long_is_given_up(tmp_path):
    with Server(tmp_path / "data", LIKENESS_DEADLINE="0.005") as server, client(server) as likeness:
        assert_promised(likeness.verify(COLLINS, HOPPER), "deadline_exceeded")


def test_a_gallery_that_another_model_filled_takes_no_face(tmp_path):
    with Server(tmp_path / "data") as one, client(one) as likeness:
        assert likeness.enroll("staff", "collins", COLLINS).status_code == 201
    models = str(other_models(tmp_path))
    with Server(tmp_path / "data", LIKENESS_MODELS_DIR=models) as other, client(other) as likeness:
        assert_promised(likeness.enroll("staff", "hopper", HOPPER), "model_mismatch")
        assert_promised(likeness.identify(COLLINS, gallery="staff"), "model_mismatch")


def test_a_full_disk_is_told_as_such(tmp_path):
    with Disk(tmp_path / "disk", kib=2048) as disk, ServerOn(disk) as server, client(server) as likeness:
        disk.fill()
        assert_promised(likeness.enroll("staff", "collins", COLLINS), "storage_full")


def test_a_gallery_that_cannot_be_read_is_our_fault_and_tells_no_internals(tmp_path):
    with Server(tmp_path / "data") as server, client(server) as likeness:
        with sqlite3.connect(server.data_dir / "gallery.sqlite3") as database:
            database.execute("DROP TABLE faces")
        answer = likeness.http.get("/galleries")
        assert_promised(answer, "internal_error")
        assert not any(word in answer.text for word in ("sqlite", "faces", "Traceback", ".py"))


def assert_promised(answer: httpx2.Response, code: str) -> None:
    """The status and title of the table, and one of the operation's documented answers."""
    body = problem(answer, int(PROBLEM_TYPES[code].status), code)
    assert body["title"] == PROBLEM_TYPES[code].title
    assert body["request_id"] == answer.headers["x-request-id"]
