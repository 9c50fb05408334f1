"""The `likeness` command as a process: exit 0 for a match or success, 1 for no match, 2 for an error."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from app.images.decode import ImageLimits, decode
from tests.support.answers import assert_is_comparison
from tests.support.clips import write_clip
from tests.support.commands import run
from tests.support.photos import HOPPER, HOPPER_AGAIN, NO_FACE, SMALL_HOPPER, collins, png
from tests.support.server import Server, free_port

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


def test_a_file_that_cannot_be_used_is_an_error(command: Callable[..., Done]) -> None:
    done = command("verify", "hopper.jpg", "text.jpg")
    assert done.returncode == 2, done
    assert "text.jpg" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_each_folder_is_enrolled_as_one_subject(command: Callable[..., Done]) -> None:
    enrolled = command("enroll", "people")
    assert "broken.jpg" in enrolled.stdout
    assert "Traceback" not in enrolled.stderr
    body = body_of(command("identify", "again.jpg"), 0)
    (face,) = body["faces"]
    assert [candidate["subject_id"] for candidate in face["candidates"]] == ["hopper"]
    assert (body["gallery"]["id"], body["gallery"]["faces"]) == ("default", 2)


def test_a_running_service_answers_in_place_of_this_machine(folder: Path, tmp_path: Path, server: Server) -> None:
    def asked(name: str, *arguments: object) -> Done:
        return run(tmp_path / "unused", "--url", server.url, name, *arguments)

    done = asked("verify", folder / "hopper.jpg", folder / "again.jpg")
    assert done.stdout == run(folder / "data", "verify", folder / "hopper.jpg", folder / "again.jpg").stdout
    assert asked("verify", folder / "hopper.jpg", folder / "collins.png").returncode == 1
    enrolled = body_of(asked("enroll", folder / "people", "--gallery", "remote", "--json"), 0)
    assert (enrolled["enrolled"], [each["code"] for each in enrolled["rejected"]]) == (2, ["invalid_image"])
    named = asked("identify", folder / "again.jpg", "--gallery", "remote").stdout
    assert re.search(r"^1 +hopper +\d", named, re.MULTILINE)
    assert re.search(r"^remote +1 +2 ", asked("gallery", "list").stdout, re.MULTILINE)
    assert len(body_of(asked("detect", folder / "hopper.jpg", "--json"), 0)["faces"]) == 1
    grouping = [folder / "people", "--truth", "--json"]
    grouped = body_of(asked("cluster", *grouping), 0)
    assert (len(grouped["groups"]), grouped["rejected"][0]["code"], grouped["truth"]["recall"]) == (
        1,
        "invalid_image",
        1,
    )
    assert grouped == body_of(run(folder / "data", "cluster", *grouping), 0)
    assert not (tmp_path / "unused").exists()


def test_a_running_service_watches_and_its_answer_is_drawn(tmp_path: Path, server: Server) -> None:
    photo, clip = tmp_path / "hopper.jpg", tmp_path / "clip.avi"
    photo.write_bytes(HOPPER)
    write_clip(clip, [[(decode(HOPPER, ImageLimits()), 4 * number)] for number in range(4)])
    server_of = ("--url", server.url)
    seen = run(tmp_path / "unused", *server_of, "watch", clip, "--gallery", "nobody")
    assert (seen.returncode, "no gallery" in seen.stderr) == (2, True), seen
    seen = run(tmp_path / "unused", *server_of, "watch", clip)
    assert [json.loads(line)["event"] for line in seen.stdout.splitlines()] == ["start", "identified", "end"], seen
    pictures = ["--draw", tmp_path / "drawn.png", "--plot", tmp_path / "plotted.png"]
    assert run(tmp_path / "unused", *server_of, "verify", photo, photo, *pictures).returncode == 0
    assert all(path.stat().st_size > 1000 for path in (tmp_path / "drawn.png", tmp_path / "plotted.png"))


def test_problems_of_a_service_are_sentences(folder: Path, tmp_path: Path, server: Server) -> None:
    done = run(tmp_path / "unused", "--url", server.url, "verify", folder / "hopper.jpg", folder / "noise.png")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: image2: no face")
    nowhere = f"http://127.0.0.1:{free_port()}"
    done = run(tmp_path / "unused", "--url", nowhere, "gallery", "list", "--json")
    assert "gave no answer" in body_of(done, 2)["detail"]
    for arguments in (["doctor"], ["gallery", "check"]):
        done = run(tmp_path / "unused", "--url", server.url, *arguments)
        assert done.returncode == 2
        assert "--url" in done.stderr
