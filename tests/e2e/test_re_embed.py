"""A gallery gets another model while it is served; the command is killed in the middle, and nobody is lost."""

import json
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from app.bootstrap.storage import GALLERY_FILE
from app.domain.embeddings import Embedding, Template
from app.images.crops import encode_crop
from app.inference.manifest import read_embedder
from app.storage.cipher import AesGcmCipher, parse_keys
from tests.support.answers import answered, problem
from tests.support.api import Api, subject_path
from tests.support.commands import encryption_key, eventually, ran
from tests.support.photos import COLLINS, COLLINS_AGAIN, HOPPER, HOPPER_AGAIN, hopper
from tests.support.repository import FileRepository
from tests.support.server import REPOSITORY, Server, environment
from tests.support.templates import FACE, QUALITY, unit

pytestmark = pytest.mark.slow

OLD, NEW = "mobilefacenet-128", "sface-128"
OTHERS = 300
COMMAND = ("gallery", "re-embed", "staff", "--model", NEW)


def add_others(data_dir: Path, key: str) -> None:
    """Enrol many more faces, of which only the crops matter."""
    model = read_embedder(REPOSITORY / "models" / OLD).file.digest
    crop = encode_crop(np.asarray(hopper().rotate(180).resize((112, 112)), np.uint8))
    with closing(opened(data_dir, key)) as repository:
        for subject in range(0, OTHERS, 50):
            faces = [
                Template(
                    f"face {number:03}",
                    f"other {subject}",
                    Embedding(unit(number, 128), model),
                    FACE,
                    QUALITY,
                    "2026-01-02T03:04:05.678Z",
                    crop,
                )
                for number in range(subject, subject + 50)
            ]
            repository.enroll("staff", f"other {subject}", faces)


def opened(data_dir: Path, key: str) -> FileRepository:
    return FileRepository(data_dir / GALLERY_FILE, cipher=AesGcmCipher(parse_keys(key)))


def test_a_killed_command_goes_on_and_changes_meanwhile_are_caught_up_with(tmp_path: Path) -> None:
    data, settings = tmp_path / "data", {"LIKENESS_ENCRYPTION_KEY": encryption_key(), "LIKENESS_KEEP_CROPS": "on"}
    with Server(data, **settings) as server, Api.of(server) as api:
        answered(api.enroll("staff", "hopper", HOPPER), 201)
        answered(api.enroll("staff", "collins", COLLINS), 201)
        add_others(data, settings["LIKENESS_ENCRYPTION_KEY"])
        killed = launched(data, settings)
        assert eventually(lambda: done_so_far(api) > 0, within=60)
        killed.send_signal(signal.SIGKILL)
        assert killed.wait(30) == -signal.SIGKILL
        assert 0 < done_so_far(api) < OTHERS + 2

        answered(api.enroll("staff", "eve", COLLINS_AGAIN), 201)
        assert api.http.delete(subject_path("staff", "other 0")).status_code == 204
        assert api.http.delete(subject_path("staff", "collins")).status_code == 204
        api.http.patch(subject_path("staff", "other 50"), json={"id": "renamed"}).raise_for_status()
        assert "hopper" in api.names(HOPPER_AGAIN, "staff")
        told = json.loads(ran(data, *COMMAND, "--json", **settings))
        assert (told["switched"], told["faces"]) == (True, OTHERS - 50 + 2)
        problem(api.identify(HOPPER_AGAIN, gallery="staff"), 409, "model_mismatch")
        problem(api.verify_subject("staff", "hopper", HOPPER_AGAIN), 409, "model_mismatch")
        problem(api.enroll("staff", "hopper", HOPPER), 409, "model_mismatch")
    with Server(data, LIKENESS_MODEL=NEW, **settings) as server, Api.of(server) as api:
        assert api.names(HOPPER_AGAIN, "staff")[0] == "hopper"
        assert api.names(COLLINS, "staff")[0] == "eve"
        assert api.http.get(subject_path("staff", "renamed")).json()["faces"] == 50
        detail = answered(api.http.get("/galleries/staff"))
        assert "re_embedding" not in detail
        assert detail["crops"] == OTHERS - 50 + 2
    assert json.loads(ran(data, "gallery", "check", "--json", **settings))["ok"]
    assert json.loads(ran(data, "audit", "verify", "--json", **settings))["ok"]
    assert "nothing to do" in ran(data, *COMMAND, **settings)


def test_a_command_that_is_interrupted_ends_at_once_and_says_so(tmp_path: Path) -> None:
    data, settings = tmp_path / "data", {"LIKENESS_ENCRYPTION_KEY": encryption_key(), "LIKENESS_KEEP_CROPS": "on"}
    ran(data, "gallery", "list", **settings)
    add_others(data, settings["LIKENESS_ENCRYPTION_KEY"])
    with closing(opened(data, settings["LIKENESS_ENCRYPTION_KEY"])) as repository:

        def has_begun() -> bool:
            begun = repository.crop_status("staff").re_embedding
            return begun is not None and begun.done > 0

        interrupted = launched(data, settings)
        assert eventually(has_begun, within=60)
        interrupted.send_signal(signal.SIGINT)
        assert interrupted.wait(30) == 2
        assert has_begun()
    assert "interrupted" in (data.parent / "command.log").read_text()
    assert json.loads(ran(data, "gallery", "re-embed", "staff", "--cancel", "--json", **settings))["cancelled"]


def launched(data_dir: Path, settings: dict[str, str]) -> subprocess.Popen[bytes]:
    with (data_dir.parent / "command.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "app", *COMMAND],
            cwd=REPOSITORY,
            env=environment(data_dir, **settings),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def done_so_far(api: Api) -> int:
    return int(answered(api.http.get("/galleries/staff")).get("re_embedding", {"done": 0})["done"])
