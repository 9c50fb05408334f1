"""The `likeness` command as a process: exit status 0 for a match or success, 1 for no match, 2 for an error."""

import json
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.answers import assert_is_comparison, assert_is_face, overlap
from tests.support.commands import outputs_of, run
from tests.support.photos import HOPPER, HOPPER_AGAIN, HOPPER_BOX, NO_FACE, SMALL_HOPPER, collins, hopper, png

COMMANDS = ["serve", "verify", "identify", "enroll", "detect", "gallery", "gallery list", "doctor"]
Done = CompletedProcess[str]


class Command:
    """`python -m app` on a data directory and a folder of photos."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: object) -> Done:
        return run(self.folder / "data", *arguments)

    def photo(self, name: str, data: bytes) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    ready = Command(tmp_path_factory.mktemp("command"))
    ready.photo("hopper.jpg", HOPPER)
    ready.photo("again.jpg", HOPPER_AGAIN)
    ready.photo("collins.png", png(collins()))
    ready.photo("noise.png", NO_FACE)
    ready.photo("text.jpg", b"this is no image")
    ready.photo("people/hopper/one.jpg", HOPPER)
    ready.photo("people/hopper/two.jpg", SMALL_HOPPER)
    ready.photo("people/nobody/broken.jpg", b"this is no image")
    return ready


def body_of(done: Done, status: int) -> Any:
    assert done.returncode == status, done
    return json.loads(done.stdout)


@pytest.mark.parametrize(("other", "status"), [("again.jpg", 0), ("collins.png", 1)])
def test_the_exit_status_shows_whether_two_photos_match(command: Command, other: str, status: int) -> None:
    photos = [command.folder / "hopper.jpg", command.folder / other]
    body = body_of(command("verify", *photos, "--json"), status)
    assert_is_comparison(body)
    assert body["match"] is (status == 0)
    text = command("verify", *photos)
    assert text.returncode == status
    assert text.stdout.strip() != ""
    assert not text.stdout.startswith("{")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["verify", "hopper.jpg", "text.jpg"], "text.jpg"),
        (["verify", "hopper.jpg", "missing.jpg"], "missing.jpg"),
        (["verify", "hopper.jpg", "noise.png"], "noise.png"),
        (["verify", "hopper.jpg"], ""),
        (["detect", "text.jpg", "--json"], "text.jpg"),
        (["enroll", "no-such-folder"], "no-such-folder"),
        (["guess"], ""),
    ],
    ids=" ".join,
)
def test_a_command_that_cannot_be_carried_out_is_an_error(command: Command, arguments: list[str], word: str) -> None:
    done = command(*[command.folder / each if "." in each or "folder" in each else each for each in arguments])
    assert done.returncode == 2, done
    assert word in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_each_folder_is_enrolled_once_as_one_subject_and_identified(command: Command) -> None:
    for _ in range(2):
        enrolled = command("enroll", command.folder / "people", "--json")
        json.loads(enrolled.stdout)
        assert "broken.jpg" in enrolled.stdout + enrolled.stderr
        assert "Traceback" not in enrolled.stderr
    known = body_of(command("identify", command.folder / "again.jpg", "--json"), 0)
    stranger = body_of(command("identify", command.folder / "collins.png", "--json"), 1)
    assert [candidate["subject_id"] for candidate in known["faces"][0]["candidates"]] == ["hopper"]
    assert (known["gallery"]["id"], known["gallery"]["faces"]) == ("default", 2)
    assert stranger["faces"][0]["candidates"] == []
    assert "default" in str(body_of(command("gallery", "list", "--json"), 0))


def test_detection_draws_what_it_found(command: Command) -> None:
    out = command.folder / "drawn.png"
    (face,) = body_of(command("detect", command.folder / "hopper.jpg", "--draw", out, "--json"), 0)["faces"]
    assert_is_face(face)
    assert overlap(face["box"], HOPPER_BOX) > 0.7
    with Image.open(out) as drawn:
        assert drawn.format == "PNG"
        assert drawn.size == hopper().size
        changed = (np.asarray(drawn.convert("RGB"), int) - np.asarray(hopper(), int)).any(-1)
    assert changed.mean() > 0.001


def test_the_doctor_shows_the_models_and_the_runtime(command: Command) -> None:
    text = str(body_of(command("doctor", "--json"), 0)).lower()
    assert "sha256:" in text
    assert "cpu" in text or "cuda" in text
    assert "onnxruntime" in text


def test_every_command_explains_itself(command: Command) -> None:
    helps = outputs_of(*[(command.folder / "data", [*name.split(), "--help"]) for name in COMMANDS])
    assert ["usage" in text.lower() for text in helps] == [True] * len(COMMANDS)
