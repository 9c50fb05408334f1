"""The Python client against a live server: typed results, problems as exceptions, retries."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from app.client import AsyncClient, Client, Problem
from tests.support.commands import new_keys
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN, IMAGES, NO_FACE
from tests.support.server import REPOSITORY, Server, free_port

SERVER_PACKAGES = ("fastapi", "faiss", "numpy", "onnxruntime", "cv2", "pydantic", "uvicorn", "PIL")


class Guarded(NamedTuple):
    server: Server
    key: str


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    data_dir = tmp_path_factory.mktemp("client") / "data"
    (key,) = new_keys(data_dir, ["--scopes", "verify,identify,embed,enroll,erase,admin"])
    with Server(data_dir) as server:
        yield Guarded(server, key)


@pytest.fixture
def client(guarded: Guarded) -> Iterator[Client]:
    with Client(guarded.server.url, key=guarded.key) as opened:
        yield opened


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


def test_asyncio_gets_the_same_results(guarded: Guarded) -> None:
    async def work() -> tuple[bool, list[str], str]:
        async with AsyncClient(guarded.server.url, key=guarded.key) as client:
            both = await asyncio.gather(client.verify(HOPPER, HOPPER_AGAIN), client.verify(HOPPER, COLLINS))
            await client.enroll("async", "hopper", HOPPER)
            names = [each.subject_id async for each in client.subjects("async")]
            with pytest.raises(Problem) as caught:
                await client.detect(b"no image")
            return [each.match for each in both] == [True, False], names, caught.value.code

    assert asyncio.run(work()) == (True, ["hopper"], "invalid_image")


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
