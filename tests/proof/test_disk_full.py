"""A full disk costs what cannot be written, and nothing else."""

import pytest

from tests.end_to_end.contract import problem, verification
from tests.end_to_end.likeness import subject_path

from .lengths import length, tell
from .loads import PHOTO, stored
from .opening import client
from .photos import COLLINS, COLLINS_AGAIN, HOPPER
from .small_disk import Disk, ServerOn

KIB = length(1024, 4096)
MOST = 20_000


@pytest.fixture
def disk(tmp_path):
    with Disk(tmp_path / "disk", KIB) as disk:
        yield disk


@pytest.fixture
def likeness(disk):
    with ServerOn(disk) as server, client(server) as likeness:
        yield likeness


def enrol_until_full(likeness):
    """Who was acknowledged, and the answer that ended it."""
    promised = {}
    for number in range(MOST):
        answer = likeness.enroll("staff", f"subject {number}", PHOTO)
        if answer.status_code != 201:
            return promised, answer
        promised[f"subject {number}"] = [answer.json()["enrolled"][0]["face_id"]]
    pytest.fail(f"{MOST} enrolments fitted on a disk of {KIB} KiB")


@pytest.mark.timeout(900)
def test_enrolments_until_the_disk_is_full_are_all_kept_and_go_on_when_there_is_room(disk, likeness):
    disk.fill(leave_kib=KIB // 4)
    promised, refusal = enrol_until_full(likeness)
    tell(f"{len(promised)} enrolments fitted")
    problem(refusal, 507, "storage_full")
    assert len(promised) > 3
    assert stored(likeness) == promised

    disk.clear()
    later = likeness.enroll("staff", "later", PHOTO)
    assert later.status_code == 201, later.text
    assert stored(likeness) == promised | {"later": [later.json()["enrolled"][0]["face_id"]]}


def test_on_a_full_disk_everything_that_only_reads_goes_on(disk, likeness):
    assert likeness.enroll("staff", "collins", COLLINS).status_code == 201
    disk.fill()
    assert verification(likeness.verify(COLLINS, COLLINS_AGAIN))["match"] is True
    assert [found["subject_id"] for found in likeness.candidates(COLLINS_AGAIN, "staff")] == ["collins"]
    assert likeness.verify_subject("staff", "collins", HOPPER).json()["match"] is False
    assert likeness.http.get(subject_path("staff", "collins")).json()["faces"] == 1
    assert likeness.http.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda likeness: likeness.enroll("staff", "hopper", HOPPER), id="enrol"),
        pytest.param(lambda likeness: likeness.http.put("/galleries/another"), id="a new gallery"),
        pytest.param(lambda likeness: likeness.describe("staff", "collins", {"a": "b" * 9000}), id="metadata"),
    ],
)
def test_on_a_full_disk_a_change_is_refused_whole(disk, likeness, change):
    assert likeness.enroll("staff", "collins", COLLINS).status_code == 201
    before = likeness.http.get("/galleries").json(), likeness.http.get(subject_path("staff", "collins")).json()
    disk.fill()
    problem(change(likeness), 507, "storage_full")
    assert (
        likeness.http.get("/galleries").json(),
        likeness.http.get(subject_path("staff", "collins")).json(),
    ) == before


def test_a_service_killed_on_a_full_disk_has_lost_nothing(disk):
    disk.fill(leave_kib=KIB // 4)
    with ServerOn(disk) as server, client(server) as likeness:
        promised, _ = enrol_until_full(likeness)
        server.kill()
    disk.clear()
    with ServerOn(disk) as again, client(again) as likeness:
        assert stored(likeness) == promised


def test_a_start_on_a_full_disk_says_that_there_is_no_space(disk):
    with ServerOn(disk) as server, client(server) as likeness:
        assert likeness.enroll("staff", "collins", COLLINS).status_code == 201
    disk.fill()
    status, words = ServerOn(disk).fail_to_start()
    assert status == 2
    assert "no space" in words
    assert "Traceback" not in words
