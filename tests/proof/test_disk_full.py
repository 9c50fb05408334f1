"""A full disk fails only those requests that have to write."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.answers import answered, problem, verification
from tests.support.api import Api, subject_path
from tests.support.lengths import length, report
from tests.support.load import PHOTO, stored
from tests.support.photos import COLLINS, COLLINS_AGAIN, HOPPER

from .small_disk import Disk, ServerOn

KIB = length(1024, 4096)
MOST = 20_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with Disk(tmp_path / "disk", KIB) as disk:
        yield disk


@pytest.fixture
def api(disk: Disk) -> Iterator[Api]:
    with ServerOn(disk) as server, Api.of(server) as api:
        yield api


def enrol_until_full(api: Api) -> tuple[dict[str, list[str]], httpx2.Response]:
    """Return the acknowledged subjects with their faces, and the answer that ended it."""
    promised: dict[str, list[str]] = {}
    for number in range(MOST):
        answer = api.enroll("staff", f"subject {number}", PHOTO)
        if answer.status_code != 201:
            return promised, answer
        promised[f"subject {number}"] = [answer.json()["enrolled"][0]["face_id"]]
    pytest.fail(f"{MOST} enrolments fitted on a disk of {KIB} KiB")


@pytest.mark.timeout(900)
def test_enrolments_until_the_disk_is_full_are_all_kept_and_go_on_when_there_is_room(disk: Disk, api: Api) -> None:
    disk.fill(leave_kib=KIB // 4)
    promised, refusal = enrol_until_full(api)
    report(f"{len(promised)} enrolments fitted")
    problem(refusal, 507, "storage_full")
    assert len(promised) > 3
    assert stored(api) == promised

    disk.clear()
    later = api.enroll("staff", "later", PHOTO)
    assert later.status_code == 201, later.text
    assert stored(api) == promised | {"later": [later.json()["enrolled"][0]["face_id"]]}


def test_on_a_full_disk_what_only_reads_goes_on_and_a_change_is_refused_whole(disk: Disk, api: Api) -> None:
    assert api.enroll("staff", "collins", COLLINS).status_code == 201
    shown = partial(shown_by, api, "/galleries", subject_path("staff", "collins"))
    before = shown()
    disk.fill()
    assert verification(api.verify(COLLINS, COLLINS_AGAIN))["match"] is True
    assert [found["subject_id"] for found in api.candidates(COLLINS_AGAIN, "staff")] == ["collins"]
    assert api.verify_subject("staff", "collins", HOPPER).json()["match"] is False
    assert api.http.get("/readyz").status_code == 200
    problem(api.enroll("staff", "hopper", HOPPER), 507, "storage_full")
    problem(api.http.put("/galleries/another"), 507, "storage_full")
    problem(api.describe("staff", "collins", {"a": "b" * 9000}), 507, "storage_full")
    assert shown() == before


def shown_by(api: Api, *paths: str) -> list[Any]:
    return [answered(api.http.get(path)) for path in paths]


def test_a_service_killed_on_a_full_disk_has_lost_nothing(disk: Disk) -> None:
    with ServerOn(disk) as server, Api.of(server) as api:
        disk.fill(leave_kib=KIB // 4)
        promised, _ = enrol_until_full(api)
        server.kill()
    disk.clear()
    with ServerOn(disk) as again, Api.of(again) as api:
        assert stored(api) == promised


def test_a_start_on_a_full_disk_reports_that_there_is_no_space(disk: Disk) -> None:
    with ServerOn(disk) as server, Api.of(server) as api:
        assert api.enroll("staff", "collins", COLLINS).status_code == 201
    disk.fill()
    assert "no space" in ServerOn(disk).refused()


@pytest.mark.parametrize("kib", [0, 8, 128, 400])
def test_a_first_start_on_a_nearly_full_disk_says_what_it_needs_and_leaves_nothing(disk: Disk, kib: int) -> None:
    disk.fill(leave_kib=kib)
    assert f"expected 512 KiB of free space for it, got {kib} KiB" in ServerOn(disk).refused()
    assert not disk.filler.with_name("data").exists()
    disk.clear()
    with ServerOn(disk) as server:
        assert server.is_ready()


@pytest.mark.parametrize("of", ["/faces/{face}", ""])
def test_on_a_full_disk_whoever_wants_is_erased(tmp_path: Path, of: str) -> None:
    with Disk(tmp_path / "disk", 64 * 1024) as disk, ServerOn(disk) as server, Api.of(server) as api:
        for subject in ("ada", "bob"):
            assert api.enroll("staff", subject, COLLINS).status_code == 201
        for subject in ("ada", "bob"):
            disk.fill()
            problem(api.enroll("staff", "eve", HOPPER), 507, "storage_full")
            (face,) = api.face_ids("staff", subject)
            answer = api.http.delete(subject_path("staff", subject) + of.format(face=face))
            assert answer.status_code == 204, answer.text
        assert api.candidates(COLLINS_AGAIN, "staff") == []
