"""`docker compose --profile cpu up`: used, started again, and stopped under load, with each installed Compose."""

import io
import json
import re
import time
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from tests.support.api import Api, part
from tests.support.encoding import encoded
from tests.support.load import Ledger, assert_kept, enrolling

from .engine import inspect, run
from .project import Project

GALLERY = "astronauts"
Photos = dict[str, bytes]


def test_it_says_whether_two_photos_are_of_one_person(api: Api, photos: Photos) -> None:
    assert api.verify(photos["collins"], photos["collins-again"]).json()["match"] is True
    assert api.verify(photos["collins"], photos["hopper"]).json()["match"] is False


def test_it_serves_the_page_with_its_files(api: Api) -> None:
    page = api.http.get("/")
    assert page.headers["Content-Type"].startswith("text/html")
    files = re.findall(r'(?:src|href)="([^"#:]+)"', page.text)
    assert {path: api.http.get(f"/{path.removeprefix('/')}").status_code for path in files} == dict.fromkeys(files, 200)
    assert files


def test_it_groups_photos(api: Api, photos: Photos) -> None:
    groups = api.post("/cluster", *(part("image", photo) for photo in photos.values()))
    assert groups.status_code == 200, groups.text
    assert groups.json()["groups"] == [[0, 1], [2]]


def test_it_reads_heic_and_judges_liveness(api: Api, photos: Photos) -> None:
    answer = api.verify(heic(photos["hopper"]), photos["hopper"], liveness="report")
    assert answer.status_code == 200, answer.text
    assert answer.json()["match"] is True
    assert all(0 <= face["liveness"]["score"] <= 1 for face in answer.json()["faces"])


def heic(photo: bytes) -> bytes:
    pytest.importorskip("pillow_heif")
    return encoded(Image.open(io.BytesIO(photo)), "HEIF")


def test_the_gallery_is_found_again_by_a_new_container(project: Project, api: Api, photos: Photos) -> None:
    assert api.enroll(GALLERY, "collins", photos["collins"]).status_code == 201
    assert identified(api, photos["collins-again"]) == ["collins"]
    before = project.container()
    project.down()
    project.up()
    assert project.container() != before
    assert identified(api, photos["collins-again"]) == ["collins"]
    assert identified(api, photos["hopper"]) == []


def test_its_root_cannot_be_written(project: Project) -> None:
    refused = run(["docker", "exec", project.container(), "touch", "/srv/likeness/mark"])
    assert "Read-only file system" in refused.stderr


def test_it_is_published_on_loopback_only(project: Project) -> None:
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
    files = run(["docker", "exec", encrypted.container(), "find", "/data", "/keys", "-name", "*-keys"])
    assert files.stdout.split() == ["/keys/gallery.sqlite3-keys"]  # in no snapshot of the volume with the gallery


def test_a_stop_under_load_answers_what_is_under_way_and_loses_nothing_acknowledged(project: Project, api: Api) -> None:
    ledger = Ledger()
    with enrolling(project.url, ledger, deletions=False):
        time.sleep(2)
        asked = time.monotonic()
        seconds = project.stop()
    before = [attempt for attempt in ledger.attempts if attempt.began < asked]
    assert any(attempt.ended > asked for attempt in before)
    assert {attempt.code for attempt in before} == {"ok"}
    assert seconds < 11  # ten, and what Compose itself takes
    assert project.exit_code() in {0, 143}
    project.up()
    assert_kept(api, ledger)


def test_published_elsewhere_it_serves_only_where_there_is_a_key(published_elsewhere: Project) -> None:
    refused = published_elsewhere.once("serve")
    assert refused.returncode == 2
    assert "likeness keys create" in refused.stderr + refused.stdout
    made = published_elsewhere.once("keys", "create", "--scopes", "verify", "--json")
    published_elsewhere.up()
    models = f"{published_elsewhere.url}/models"
    assert httpx2.get(models).status_code == 401
    assert httpx2.get(models, headers={"X-API-Key": json.loads(made.stdout)["key"]}).status_code == 200


def identified(api: Api, photo: bytes) -> list[str]:
    return api.names(photo, GALLERY)
