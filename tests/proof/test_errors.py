"""Every error of the table can be provoked on a server, with the status and form that the table promises."""

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx2
import pytest

from app.api.problems import PROBLEM_TYPES, TITLES_OF_FORBIDDEN
from tests.support.answers import answered, problem
from tests.support.api import Api, bearer, part, subject_path
from tests.support.background import map_in_threads
from tests.support.commands import new_keys
from tests.support.encoding import png_header
from tests.support.hostile import PDF
from tests.support.photos import COLLINS, HOPPER, NO_FACE, collins, hopper, jpeg, side_by_side, small_jpeg
from tests.support.server import Server
from tests.support.wire import KeptWire

from .hostile_forms import request
from .other_model import other_models
from .small_disk import Disk, ServerOn

Provocation = Callable[[Api], httpx2.Response]

PLAIN: dict[str, Provocation] = {
    "face_not_found": lambda api: api.verify(NO_FACE, COLLINS),
    "multiple_faces": lambda api: api.verify(jpeg(side_by_side(hopper(), collins())), COLLINS, face="only"),
    "low_quality": lambda api: api.enroll("staff", "collins", small_jpeg(COLLINS, side=140)),
    "invalid_image": lambda api: api.detect(b"no image"),
    "unsupported_image": lambda api: api.detect(PDF),
    "image_too_large": lambda api: api.detect(png_header(30_000, 30_000)),
    "invalid_request": lambda api: api.verify(COLLINS, HOPPER, fmr="0.1", threshold="1"),
    "too_many_fields": lambda api: api.detect(COLLINS, **{f"field{number}": "1" for number in range(65)}),
    "metadata_too_large": lambda api: api.describe("staff", "collins", {"note": "x" * 20_000}),
    "invalid_cursor": lambda api: api.http.get("/galleries/default/subjects?cursor=collins"),
    "unsupported_operating_point": lambda api: api.verify(COLLINS, HOPPER, fmr="1e-12"),
    "not_found": lambda api: api.http.get("/galleries/nowhere"),
    "duplicate_face": lambda api: enrolled_twice(api),
    "subject_exists": lambda api: renamed_to_another(api),
    "method_not_allowed": lambda api: api.http.get("/verify"),
}
"""Errors on a server with default settings and without a key."""

GUARDED: dict[str, Provocation] = {
    "unauthorized": lambda api: api.http.get("/models", headers=bearer("lk_none_such")),
    "forbidden": lambda api: api.http.get("/galleries"),
    "overloaded": lambda api: first_refused(partial(api.verify, COLLINS, HOPPER), at_once=12),
    "rate_limited": lambda api: first_refused(partial(api.http.get, "/models"), at_once=100),
}
"""Errors on a server with keys and small limits, with a key for `verify`, thirty times a second."""

ALONE = {
    "upload_timeout",
    "deadline_exceeded",
    "model_mismatch",
    "spoof_suspected",
    "storage_full",
    "storage_unavailable",
    "internal_error",
}
"""Errors with tests of their own below."""


def enrolled_twice(api: Api) -> httpx2.Response:
    """Enrol one photo for two subjects, and refuse the second."""
    answered(api.enroll("twice", "hopper", HOPPER), 201)
    return api.post(f"{subject_path('twice', 'grace')}/faces", part("image", HOPPER), on_duplicate="reject")


def renamed_to_another(api: Api) -> httpx2.Response:
    for subject in ("ada", "bob"):
        answered(api.describe("renamed", subject, {}), 201)
    return api.http.patch(subject_path("renamed", "ada"), json={"id": "bob"})


def first_refused(call: Callable[[], httpx2.Response], *, at_once: int) -> httpx2.Response:
    """Send many at once, and return the first answer that is no success."""
    answers = map_in_threads(lambda _: call(), range(at_once), at_once)
    return next(answer for answer in answers if not answer.is_success)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with Server(tmp_path_factory.mktemp("plain") / "data") as server, Api.of(server) as api:
        yield api


@pytest.fixture(scope="module")
def little(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("little") / "data"
    room = {"MAX_WAITING": "1", "PHOTO_THREADS": "1", "UPLOAD_TIMEOUT": "1", "MAX_HEADER_BYTES": "2048"}
    with Server(data, **{f"LIKENESS_{name}": value for name, value in room.items()}) as server:
        yield server


@pytest.fixture(scope="module")
def guarded(little: Server) -> Iterator[Api]:
    (key,) = new_keys(little.data_dir, ["--scopes", "verify", "--rate", "30"])
    with Api.of(little, **bearer(key)) as api:
        yield api


def test_every_code_of_the_table_has_a_test_here() -> None:
    assert PLAIN.keys() | GUARDED.keys() | ALONE == PROBLEM_TYPES.keys()


@pytest.mark.parametrize("code", PLAIN)
def test_without_a_key_the_answer_is(plain: Api, code: str) -> None:
    assert_promised(PLAIN[code](plain), code)


@pytest.mark.parametrize("code", GUARDED)
def test_with_a_key_the_answer_is(guarded: Api, code: str) -> None:
    assert_promised(GUARDED[code](guarded), code)


@pytest.mark.parametrize("code", ["overloaded", "rate_limited"])
def test_a_refusal_for_a_time_says_when_to_ask_again(guarded: Api, code: str) -> None:
    assert int(GUARDED[code](guarded).headers["retry-after"]) >= 1


def test_a_body_that_does_not_come_is_a_timeout(little: Server) -> None:
    (key,) = new_keys(little.data_dir, ["--scopes", "verify"])
    with KeptWire(little.port) as wire:
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
def test_bytes_that_are_no_request_get_a_problem_too(little: Server, data: bytes, status: int, code: str) -> None:
    with KeptWire(little.port) as wire:
        reply = wire.ask(data)
    assert reply is not None
    assert (reply.status, reply.code, reply.closes) == (status, code, True)


def test_an_answer_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    with Server(tmp_path / "data", LIKENESS_DEADLINE="0.005") as server, Api.of(server) as api:
        assert_promised(api.verify(COLLINS, HOPPER), "deadline_exceeded")


def test_a_gallery_that_another_model_filled_takes_no_face(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as one, Api.of(one) as api:
        assert api.enroll("staff", "collins", COLLINS).status_code == 201
    models = str(other_models(tmp_path))
    with Server(tmp_path / "data", LIKENESS_MODELS_DIR=models) as other, Api.of(other) as api:
        assert_promised(api.enroll("staff", "hopper", HOPPER), "model_mismatch")
        assert_promised(api.identify(COLLINS, gallery="staff"), "model_mismatch")


def test_a_face_that_may_be_a_picture_is_told_as_such(tmp_path: Path) -> None:
    settings = {"LIKENESS_LIVENESS": "on", "LIKENESS_LIVENESS_THRESHOLD": "1"}  # which no photo of a face reaches
    with Server(tmp_path / "data", **settings) as server, Api.of(server) as api:
        assert_promised(api.verify(COLLINS, HOPPER, liveness="require"), "spoof_suspected")


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    with Disk(tmp_path / "disk", kib=2048) as disk, ServerOn(disk) as server, Api.of(server) as api:
        disk.fill()
        assert_promised(api.enroll("staff", "collins", COLLINS), "storage_full")


def test_a_data_directory_that_is_gone_is_told_at_once_and_until_the_restart(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server, Api.of(server) as api:
        assert api.enroll("staff", "collins", COLLINS).status_code == 201
        server.data_dir.rename(tmp_path / "moved")
        server.data_dir.mkdir()
        for answer in (api.enroll("staff", "hopper", HOPPER), api.http.get("/readyz"), api.verify(COLLINS, HOPPER)):
            assert_promised(answer, "storage_unavailable")
        assert api.http.get("/healthz").status_code == 200
        assert list(server.data_dir.iterdir()) == []


def test_a_gallery_that_cannot_be_read_is_our_fault_and_tells_no_internals(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server, Api.of(server) as api:
        with sqlite3.connect(server.data_dir / "gallery.sqlite3") as database:
            database.execute("DROP TABLE faces")
        answer = api.http.get("/galleries")
        assert_promised(answer, "internal_error")
        assert not any(word in answer.text for word in ("sqlite", "faces", "Traceback", ".py"))


def assert_promised(answer: httpx2.Response, code: str) -> None:
    """Check the status, the title and the request id of a problem."""
    body = problem(answer, int(PROBLEM_TYPES[code].status), code)
    titles = [*TITLES_OF_FORBIDDEN.values()] if code == "forbidden" else [PROBLEM_TYPES[code].title]
    assert body["title"] in titles
    assert body["request_id"] == answer.headers["x-request-id"]
