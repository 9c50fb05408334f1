"""`docker compose --profile cpu up`, used, started again, and stopped under load; with every Compose that is here."""

import json
import time
from pathlib import Path

import httpx2

from ..end_to_end.likeness import Likeness
from .engine import inspect, run
from .load import Load
from .project import Project

GALLERY = "astronauts"


def test_it_says_whether_two_photos_are_of_one_person(likeness, photos):
    assert likeness.verify(photos["collins"], photos["collins-again"]).json()["match"] is True
    assert likeness.verify(photos["collins"], photos["hopper"]).json()["match"] is False


def test_the_gallery_is_found_again_by_a_new_container(project, likeness, photos):
    assert likeness.enroll(GALLERY, "collins", photos["collins"]).status_code == 201
    assert identified(likeness, photos["collins-again"]) == ["collins"]
    before = project.container()
    project.down()
    project.up()
    assert project.container() != before
    assert identified(likeness, photos["collins-again"]) == ["collins"]
    assert identified(likeness, photos["hopper"]) == []


def test_its_root_cannot_be_written(project):
    refused = run(["docker", "exec", project.container(), "touch", "/srv/likeness/mark"])
    assert "Read-only file system" in refused.stderr


def test_it_is_published_on_loopback_only(project):
    bound = inspect(project.container(), '(index (index .NetworkSettings.Ports "8000/tcp") 0).HostIp')
    assert bound == "127.0.0.1"


def test_a_setting_of_the_shell_reaches_the_service(project: Project) -> None:
    assert "LIKENESS_MAX_FACES=7" in inspect(project.container(), "json .Config.Env")


def test_its_memory_its_processes_and_its_log_are_limited(project: Project) -> None:
    host = json.loads(inspect(project.container(), "json .HostConfig"))

    assert host["Memory"] == 2 * 2**30
    assert host["PidsLimit"] == 1024
    assert host["LogConfig"]["Config"] == {"max-file": "5", "max-size": "10m"}


def test_the_encryption_key_reaches_the_service_as_a_file_only(encrypted: Project, encryption_key: Path) -> None:
    encrypted.up()
    checked = run(["docker", "exec", encrypted.container(), "likeness", "doctor"])

    assert ", encrypted" in checked.stdout
    assert encryption_key.read_text() not in inspect(encrypted.container(), "json .")


def test_a_stop_under_load_answers_what_is_under_way_and_loses_nothing_acknowledged(project, likeness, photos):
    with Load(project.url, GALLERY, photos["collins"]) as load:
        time.sleep(2)
        asked = time.monotonic()
        seconds = project.stop()
    assert load.under_way(asked)
    assert {attempt.status for attempt in load.begun_before(asked)} == {201}
    assert seconds < 11  # ten, and what Compose itself takes
    assert project.exit_code() in {0, 143}

    project.up()
    assert [subject for subject in load.acknowledged() if not likeness.face_ids(GALLERY, subject)] == []


def test_published_elsewhere_it_serves_only_where_there_is_a_key(published_elsewhere):
    refused = published_elsewhere.once("serve")
    assert refused.returncode == 2
    assert "likeness keys create" in refused.stderr + refused.stdout

    made = published_elsewhere.once("keys", "create", "--scopes", "verify", "--json")
    published_elsewhere.up()
    models = f"{published_elsewhere.url}/models"
    assert httpx2.get(models).status_code == 401
    assert httpx2.get(models, headers={"X-API-Key": json.loads(made.stdout)["key"]}).status_code == 200


def identified(likeness: Likeness, photo: bytes) -> list[str]:
    return [candidate["subject_id"] for candidate in likeness.candidates(photo, GALLERY)]
