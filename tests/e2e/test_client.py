"""The Python clients, plain and of asyncio, against a live server: typed results, problems as exceptions, retries."""

import asyncio
import json
import socketserver
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from inspect import isawaitable
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, cast

import httpx
import pytest
from PIL import Image

from app.client import AsyncClient, Client, Problem, Vector
from app.client.moving import ImportBatches
from tests.support.commands import new_keys
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN, IMAGES, NO_FACE
from tests.support.server import REPOSITORY, Server, free_port
from tests.support.serving import running_address

SERVER_PACKAGES = ("fastapi", "faiss", "numpy", "onnxruntime", "cv2", "pydantic", "uvicorn", "PIL")


class Guarded(NamedTuple):
    server: Server
    key: str
    without_export: str


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    data_dir = tmp_path_factory.mktemp("client") / "data"
    scopes = ("verify,identify,embed,enroll,erase,export,admin", "verify,enroll")
    keys = new_keys(data_dir, *[["--scopes", each] for each in scopes])
    with Server(data_dir, LIKENESS_LIVENESS="on") as server:
        yield Guarded(server, *keys)


class Awaited:
    """Has the methods of Client: each runs that of AsyncClient on an event loop."""

    def __init__(self, client: AsyncClient, runner: asyncio.Runner) -> None:
        self._client, self._run = client, runner.get_loop().run_until_complete

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            result = getattr(self._client, name)(*arguments, **options)
            return self._run(result) if isawaitable(result) else self._each(result)

        return call

    def _each(self, results: AsyncIterator[Any]) -> Iterator[Any]:
        with suppress(StopAsyncIteration):
            while True:
                yield self._run(anext(results))


@pytest.fixture(params=[Client, AsyncClient], ids=["plain", "asyncio"])
def open_client(request: pytest.FixtureRequest, guarded: Guarded) -> Iterator[Callable[[str], Client]]:
    """Opens a client with a key; whichever the kind, it has the methods of Client."""
    with ExitStack() as opened:

        def plain(key: str) -> Client:
            return opened.enter_context(Client(guarded.server.url, key=key))

        def awaited(key: str) -> Client:
            runner = opened.enter_context(asyncio.Runner())
            client = AsyncClient(guarded.server.url, key=key)
            opened.callback(lambda: runner.run(client.close()))
            return cast("Client", Awaited(client, runner))

        yield plain if request.param is Client else awaited


@pytest.fixture
def client(guarded: Guarded, open_client: Callable[[str], Client]) -> Iterator[Client]:
    """A client of a service without galleries."""
    opened = open_client(guarded.key)
    yield opened
    for each in opened.galleries():
        opened.delete_gallery(each.id)


def test_photos_are_paths_bytes_or_open_files(client: Client) -> None:
    path = IMAGES / "hopper.jpg"
    for photo in (path, str(path), path.read_bytes(), BytesIO(path.read_bytes())):
        result = client.verify(photo, HOPPER_AGAIN)
        assert result.match
        assert result.distance <= result.threshold.distance
        assert [face.image for face in result.faces] == ["image1", "image2"]
        assert len(result.faces[0].box) == 4
        assert result.faces[0].quality.overall > 0


def test_options_are_sent(client: Client) -> None:
    assert not client.verify(HOPPER, COLLINS, threshold=0.1).match
    assert client.verify(HOPPER, COLLINS, threshold=4).threshold.source == "request"
    fine, coarse = (client.verify(HOPPER, COLLINS, fmr=fmr).threshold.base for fmr in (1e-4, 1e-2))
    assert fine < coarse


def test_a_gallery_from_creation_to_erasure(client: Client) -> None:
    assert client.create_gallery("staff").subjects == 0
    subject = client.put_subject("staff", "grace/hopper", {"name": "Grace"}, consent="form 7")
    assert (subject.subject_id, subject.metadata, subject.consent) == ("grace/hopper", {"name": "Grace"}, "form 7")
    enrolled = client.enroll("staff", "grace/hopper", HOPPER, NO_FACE)
    assert [face.index for face in enrolled.enrolled] == [0]
    assert [(each.index, each.problem["code"]) for each in enrolled.rejected] == [(1, "face_not_found")]
    client.enroll("staff", "collins", COLLINS)
    (face,) = client.identify(HOPPER_AGAIN, gallery="staff").faces
    assert (face.identified, face.candidates[0].subject_id) == (True, "grace/hopper")
    assert face.candidates[0].metadata == {"name": "Grace"}
    assert client.verify_subject("staff", "collins", COLLINS).match
    assert [each.subject_id for each in client.subjects("staff", page=1)] == ["collins", "grace/hopper"]
    (stored,) = client.faces("staff", "grace/hopper")
    assert client.delete_face("staff", "grace/hopper", stored.face_id)
    assert client.subject("staff", "grace/hopper").faces == 0
    assert client.delete_subject("staff", "collins")
    assert client.gallery("staff").subjects == 1
    assert client.delete_gallery("staff")
    assert "staff" not in [each.id for each in client.galleries()]


def test_an_idempotency_key_is_made_or_taken(client: Client) -> None:
    for _ in range(2):
        client.enroll("repeated", "hopper", HOPPER, idempotency_key="once")
    assert len(client.faces("repeated", "hopper")) == 1
    client.enroll("repeated", "hopper", HOPPER)
    assert len(client.faces("repeated", "hopper")) == 2


def test_one_photo_against_others_and_groups_of_photos(client: Client) -> None:
    compared = client.compare(HOPPER, HOPPER_AGAIN, COLLINS, NO_FACE, fmr=1e-3)
    assert [each.match for each in compared.results] == [True, False, None]
    assert compared.results[2].error is not None
    assert compared.results[2].error["code"] == "face_not_found"
    groups = client.cluster(HOPPER, COLLINS, HOPPER_AGAIN, NO_FACE)
    assert (groups.groups, [each.index for each in groups.rejected]) == ([[0, 2], [1]], [3])


def test_a_vector_takes_the_place_of_a_photo(client: Client) -> None:
    embeddings = client.embed(HOPPER, COLLINS)
    hopper, collins = (Vector(each.faces[0].embedding, embeddings.model.digest) for each in embeddings.results)
    by_photo, by_vector = client.verify(HOPPER, HOPPER_AGAIN), client.verify(hopper, HOPPER_AGAIN)
    assert by_vector.distance == pytest.approx(by_photo.distance, abs=1e-6)
    assert not client.verify(hopper, collins, fmr=1e-3).match
    client.enroll("vectors", "hopper", hopper)
    assert len(client.enroll("vectors", "collins", collins, collins).enrolled) == 2
    (face,) = client.identify(collins, gallery="vectors").faces
    assert (face.candidates[0].subject_id, face.quality) == ("collins", None)
    assert client.verify_subject("vectors", "hopper", hopper).match
    with pytest.raises(ValueError, match="one model"):
        client.verify(hopper, Vector(collins.embedding, "sha256:other"))


def test_liveness_and_crops_on_request(client: Client) -> None:
    plain, reported = (client.verify(HOPPER, HOPPER_AGAIN, liveness=mode) for mode in (None, "report"))
    assert [face.liveness for face in plain.faces] == [None, None]
    assert all(face.liveness and 0 <= face.liveness.score <= 1 for face in reported.faces)
    assert client.detect(HOPPER).faces[0].crop is None
    crop = client.detect(HOPPER, crops=True).faces[0].crop
    assert crop is not None
    with Image.open(BytesIO(crop)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (112, 112))


def test_subjects_are_renamed_and_merged(client: Client) -> None:
    for subject in ("hopper", "grace"):
        client.enroll("merged", subject, HOPPER)
    assert client.rename("merged", "grace", "g. hopper").subject_id == "g. hopper"
    with pytest.raises(Problem) as refused:
        client.enroll("merged", "eve", HOPPER_AGAIN, on_duplicate="reject")
    assert refused.value.code == "duplicate_face"
    assert {each.subject_id for each in client.enroll("merged", "eve", HOPPER_AGAIN).duplicates} == {
        "hopper",
        "g. hopper",
    }
    assert client.merge("merged", "hopper", "g. hopper").faces == 2
    (face,) = client.faces("merged", "eve")
    assert client.merge("merged", "hopper", "eve", faces=[face.face_id]).faces == 3
    assert [(each.subject_id, each.faces) for each in client.subjects("merged")] == [("eve", 0), ("hopper", 3)]


def test_ids_of_dots_are_no_steps_in_a_path(client: Client) -> None:
    for subject in (".", "..", "..."):
        client.put_subject("dots", subject, {"name": subject})
    assert client.delete_subject("dots", "..")
    assert [(each.subject_id, each.metadata) for each in client.subjects("dots")] == [
        (".", {"name": "."}),
        ("...", {"name": "..."}),
    ]


def test_an_exported_gallery_is_imported_as_it_was(client: Client) -> None:
    client.put_subject("from", "hopper", {"name": "Grace"}, consent="form 7")
    client.enroll("from", "hopper", HOPPER)
    client.enroll("from", "collins", COLLINS)
    results = list(client.import_gallery("to", list(client.export_gallery("from"))))
    assert [(each.line, each.subject_id, each.status, each.faces) for each in results] == [
        (1, None, "header", 0),
        (2, "collins", "created", 1),
        (3, "hopper", "created", 1),
    ]
    before, after = (client.export_subject(gallery, "hopper") for gallery in ("from", "to"))
    assert (after.faces, after.metadata, after.consent) == (before.faces, {"name": "Grace"}, "form 7")


def test_an_export_goes_on_behind_a_subject_and_leaves_out_who_is_deleted_meanwhile(
    client: Client, guarded: Guarded, open_client: Callable[[str], Client]
) -> None:
    for subject in "abcd":
        client.put_subject("four", subject)
    lines = client.export_gallery("four", after="a")
    found = [next(lines)]
    client.delete_subject("four", "c")
    found += lines

    assert [each["subject_id"] for each in found] == ["b", "d"]
    with pytest.raises(Problem) as refused:
        list(open_client(guarded.without_export).export_gallery("four", after="a"))
    assert (refused.value.status, refused.value.code) == (403, "forbidden")


def test_a_long_import_reads_ahead_by_one_request_and_goes_on_after_a_stop(client: Client) -> None:
    header = {"format": "likeness-gallery-1", "model": None}
    taken = 0

    def lines() -> Iterator[bytes]:
        nonlocal taken
        for line in (header, *({"subject_id": f"s{i}", "metadata": {}, "faces": []} for i in range(2500)), "broken"):
            taken += 1
            yield json.dumps(line).encode() + b"\n"

    results = client.import_gallery("long", lines())
    assert [next(results).line for _ in range(1001)] == list(range(1, 1002))
    assert taken == 1001
    results = client.import_gallery("long", lines(), after=1001)
    rest = list(results)
    assert [each.line for each in rest] == list(range(1002, 2503))
    assert {each.status for each in rest[:-1]} == {"created"}
    assert rest[-1].error is not None
    assert client.gallery("long").subjects == 2500
    assert len(list(client.import_gallery("whole requests", islice(lines(), 2001)))) == 2001
    with pytest.raises(Problem, match="got none"):
        list(client.import_gallery("long", []))


def test_an_import_that_ended_early_is_a_problem_after_what_was_answered() -> None:
    batches = ImportBatches("any", after=0)
    batches.add({"format": "likeness-gallery-1", "model": None})
    call = batches.rest()
    assert call is not None
    full = {"code": "storage_full", "detail": "the disk is full"}
    line = {"subject_id": None, "faces": 0, "error": None}
    results = call.result([{"line": 1, "status": "header", **line}, {"line": None, **line, "error": full}])
    assert next(results).status == "header"
    with pytest.raises(Problem, match="the disk is full") as ended:
        next(results)
    assert ended.value.code == "storage_full"


def test_without_an_answer_only_what_may_be_repeated_is_sent_again() -> None:
    def attempts(send: Callable[[Client], object]) -> int:
        with closing_connections() as (url, connections), Client(url, retries=1) as client:
            with pytest.raises(httpx.RemoteProtocolError):
                send(client)
            return len(connections)

    assert attempts(lambda client: client.put_subject("staff", "ada")) == 2
    assert attempts(lambda client: client.rename("staff", "ada", "a. lovelace")) == 1
    assert attempts(lambda client: client.merge("staff", "ada", "lovelace")) == 1


@contextmanager
def closing_connections() -> Iterator[tuple[str, list[bytes]]]:
    """A server that reads each request and closes the connection without an answer, and what it has read."""
    read: list[bytes] = []

    class Closing(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            read.append(self.request.recv(2**16))

    with running_address(socketserver.TCPServer(("127.0.0.1", 0), Closing)) as url:
        yield url, read


def test_a_problem_is_an_exception(client: Client, guarded: Guarded) -> None:
    with pytest.raises(Problem, match="no face") as caught:
        client.verify(HOPPER, NO_FACE)
    assert (caught.value.status, caught.value.code, caught.value.image) == (422, "face_not_found", "image2")
    assert caught.value.request_id
    with Client(guarded.server.url) as stranger, pytest.raises(Problem) as refused:
        stranger.verify(HOPPER, HOPPER)
    assert (refused.value.status, refused.value.code) == (401, "unauthorized")


def test_photos_that_cannot_be_read_and_services_that_are_not_there(tmp_path: Path) -> None:
    with Client(f"http://127.0.0.1:{free_port()}", retries=0) as nowhere:
        with pytest.raises(FileNotFoundError):
            nowhere.verify(tmp_path / "missing.jpg", HOPPER)
        with pytest.raises(httpx.ConnectError):
            nowhere.verify(HOPPER, HOPPER)


def test_asyncio_sends_calls_at_once_and_imports_an_export_as_it_comes(guarded: Guarded) -> None:
    async def work() -> tuple[list[bool | None], list[str]]:
        async with AsyncClient(guarded.server.url, key=guarded.key) as client:
            both = await asyncio.gather(client.verify(HOPPER, HOPPER_AGAIN), client.verify(HOPPER, COLLINS))
            await client.enroll("async", "hopper", HOPPER)
            copied = [each async for each in client.import_gallery("copy", client.export_gallery("async"))]
            return [each.match for each in both], [each.status for each in copied]

    assert asyncio.run(work()) == ([True, False], ["header", "created"])


def detect_often(client: Client) -> None:
    for _ in range(200):
        client.detect(NO_FACE)


def test_a_refused_request_is_sent_again_after_the_time_that_the_service_names(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    (key,) = new_keys(data_dir, ["--scopes", "verify", "--rate", "1"])
    with (
        Server(data_dir) as server,
        Client(server.url, key=key) as patient,
        Client(server.url, key=key, retries=0) as impatient,
    ):
        with pytest.raises(Problem) as refused:
            detect_often(impatient)
        assert (refused.value.status, refused.value.code) == (429, "rate_limited")
        assert patient.detect(NO_FACE).faces == []


def test_the_client_needs_none_of_the_servers_packages() -> None:
    program = (
        "import json, sys, app.client; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)).isdisjoint(SERVER_PACKAGES)
