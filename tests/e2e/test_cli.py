"""The `likeness` command as a process: exit 0 for a match or success, 1 for no match, 2 for an error."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.support.answers import assert_is_comparison
from tests.support.commands import run
from tests.support.photos import HOPPER, HOPPER_AGAIN, NO_FACE, SMALL_HOPPER, collins, png

Done = CompletedProcess[str]
FILES = {
    "hopper.jpg": HOPPER,
    "again.jpg": HOPPER_AGAIN,
    "collins.png": png(collins()),
    "noise.png": NO_FACE,
    "text.jpg": b"this is no image",
    "people/hopper/one.jpg": HOPPER,
    "people/hopper/two.jpg": SMALL_HOPPER,
    "people/nobody/broken.jpg": b"this is no image",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("command")
    for name, data in FILES.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(data)
    return made


@pytest.fixture(scope="module")
def command(folder: Path) -> Callable[..., Done]:
    """Runs the command on files of the folder."""
    return lambda name, *files: run(folder / "data", name, *(folder / file for file in files), "--json")


def body_of(done: Done, status: int) -> Any:
    assert done.returncode == status, done
    return json.loads(done.stdout)


@pytest.mark.parametrize(("other", "status"), [("again.jpg", 0), ("collins.png", 1)])
def test_two_photos_are_of_one_person_or_not(command: Callable[..., Done], other: str, status: int) -> None:
    body = body_of(command("verify", "hopper.jpg", other), status)
    assert_is_comparison(body)
    assert body["match"] == (status == 0)


@pytest.mark.parametrize("bad", ["text.jpg", "missing.jpg", "noise.png"])
def test_a_file_that_cannot_be_used_is_an_error(command: Callable[..., Done], bad: str) -> None:
    done = command("verify", "hopper.jpg", bad)
    assert done.returncode == 2, done
    assert bad in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_each_folder_is_enrolled_as_one_subject(command: Callable[..., Done]) -> None:
    enrolled = command("enroll", "people")
    assert "broken.jpg" in enrolled.stdout
    assert "Traceback" not in enrolled.stderr
    body = body_of(command("identify", "again.jpg"), 0)
    (face,) = body["faces"]
    assert [candidate["subject_id"] for candidate in face["candidates"]] == ["hopper"]
    assert (body["gallery"]["id"], body["gallery"]["faces"]) == ("default", 2)
