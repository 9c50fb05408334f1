"""The `likeness` command: exit 0 for a match or success, 1 for no match, 2 for an error."""

import json
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.answers import assert_is_comparison, assert_is_face, overlap
from tests.support.api import at_once
from tests.support.commands import run
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
    return ready


@pytest.fixture(scope="module")
def enrolled(command: Command) -> Done:
    """The outcome of enrolling one folder for each subject."""
    command.photo("people/hopper/one.jpg", HOPPER)
    command.photo("people/hopper/two.jpg", SMALL_HOPPER)
    command.photo("people/nobody/broken.jpg", b"this is no image")
    return command("enroll", command.folder / "people", "--json")


@pytest.fixture(scope="module")
def helps(command: Command) -> dict[str, Done]:
    shown = at_once([partial(command, *name.split(), "--help") for name in COMMANDS], 2)
    return dict(zip(COMMANDS, shown, strict=True))


def body_of(done: Done, status: int) -> Any:
    assert done.returncode == status, done
    return json.loads(done.stdout)


def assert_failed(done: Done, word: str) -> None:
    assert done.returncode == 2, done
    assert word in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_two_photos_of_one_person_match(command: Command) -> None:
    body = body_of(command("verify", command.folder / "hopper.jpg", command.folder / "again.jpg", "--json"), 0)
    assert_is_comparison(body)
    assert body["match"] is True


def test_two_people_do_not_match(command: Command) -> None:
    body = body_of(command("verify", command.folder / "hopper.jpg", command.folder / "collins.png", "--json"), 1)
    assert_is_comparison(body)
    assert body["match"] is False


def test_without_json_the_output_is_text(command: Command) -> None:
    done = command("verify", command.folder / "hopper.jpg", command.folder / "collins.png")
    assert done.returncode == 1
    assert done.stdout.strip() != ""
    assert not done.stdout.startswith("{")


@pytest.mark.parametrize("bad", ["text.jpg", "missing.jpg", "noise.png"])
def test_a_file_that_cannot_be_used_is_an_error(command: Command, bad: str) -> None:
    assert_failed(command("verify", command.folder / "hopper.jpg", command.folder / bad), bad)


def test_a_missing_argument_is_an_error(command: Command) -> None:
    assert command("verify", command.folder / "hopper.jpg").returncode == 2


def test_each_folder_is_enrolled_as_one_subject(enrolled: Done, command: Command) -> None:
    json.loads(enrolled.stdout)
    assert "Traceback" not in enrolled.stderr
    body = body_of(command("identify", command.folder / "again.jpg", "--json"), 0)
    (face,) = body["faces"]
    assert [candidate["subject_id"] for candidate in face["candidates"]] == ["hopper"]
    assert (body["gallery"]["id"], body["gallery"]["faces"]) == ("default", 2)


def test_a_broken_photo_in_the_folder_is_named(enrolled: Done) -> None:
    assert "broken.jpg" in enrolled.stdout + enrolled.stderr


@pytest.mark.usefixtures("enrolled")
def test_enrolling_the_folder_again_enrols_nothing_twice(command: Command) -> None:
    json.loads(command("enroll", command.folder / "people", "--json").stdout)
    body = body_of(command("identify", command.folder / "hopper.jpg", "--json"), 0)
    assert body["gallery"]["faces"] == 2


@pytest.mark.usefixtures("enrolled")
def test_a_stranger_is_not_identified(command: Command) -> None:
    body = body_of(command("identify", command.folder / "collins.png", "--json"), 1)
    assert body["faces"][0]["candidates"] == []


@pytest.mark.usefixtures("enrolled")
def test_the_galleries_are_listed(command: Command) -> None:
    done = command("gallery", "list", "--json")
    assert "default" in str(body_of(done, 0))


def test_enrolling_a_folder_that_is_not_there_is_an_error(command: Command) -> None:
    assert_failed(command("enroll", command.folder / "no-such-folder"), "no-such-folder")


def test_detection_draws_what_it_found(command: Command) -> None:
    out = command.folder / "drawn.png"
    body = body_of(command("detect", command.folder / "hopper.jpg", "--draw", out, "--json"), 0)
    (face,) = body["faces"]
    assert_is_face(face)
    assert overlap(face["box"], HOPPER_BOX) > 0.7
    with Image.open(out) as drawn:
        assert drawn.format == "PNG"
        assert drawn.size == hopper().size
        changed = (np.asarray(drawn.convert("RGB"), int) - np.asarray(hopper(), int)).any(-1)
    assert changed.mean() > 0.001


def test_detection_of_a_broken_file_is_an_error(command: Command) -> None:
    assert_failed(command("detect", command.folder / "text.jpg", "--json"), "text.jpg")


def test_the_doctor_shows_the_models_and_the_runtime(command: Command) -> None:
    text = str(body_of(command("doctor", "--json"), 0))
    assert "sha256:" in text
    assert "cpu" in text.lower() or "cuda" in text.lower()
    assert "onnxruntime" in text.lower()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(helps: dict[str, Done], name: str) -> None:
    assert helps[name].returncode == 0, helps[name].stderr
    assert "usage" in helps[name].stdout.lower()
    assert helps[name].stderr == ""


def test_an_unknown_command_is_an_error(command: Command) -> None:
    assert command("guess").returncode == 2
