"""What was answered with 201 is on the disk: it outlives a stop, a crash, and is seen by a second server."""

import signal

import pytest

from .contract import answered, problem
from .likeness import subject_path
from .photos import another, collins, hopper, jpeg

HOPPER, COLLINS = jpeg(hopper()), jpeg(collins())


def names(likeness, image, gallery="staff"):
    return [candidate["subject_id"] for candidate in likeness.candidates(image, gallery)]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_enrolments_and_deletions_outlive_the_server(start_server, connect, end):
    first = start_server()
    before = connect(first)
    answered(before.enroll("staff", "hopper", HOPPER, key="once"), 201)
    before.describe("staff", "hopper", {"name": "Grace"})
    answered(before.enroll("staff", "collins", COLLINS), 201)
    assert before.http.delete(subject_path("staff", "collins")).is_success
    getattr(first, end)()

    after = connect(start_server())
    assert names(after, another(hopper())) == ["hopper"]
    assert after.candidates(HOPPER, "staff")[0]["metadata"] == {"name": "Grace"}
    assert names(after, COLLINS) == []
    problem(after.http.get(subject_path("staff", "collins")), 404, "not_found")
    answered(after.enroll("staff", "hopper", HOPPER, key="once"), 201)
    assert len(after.face_ids("staff", "hopper")) == 1


def test_two_servers_on_one_data_directory_agree_at_once(start_server, connect):
    one, other = connect(start_server()), connect(start_server())
    answered(one.enroll("staff", "hopper", HOPPER), 201)
    assert names(other, HOPPER) == ["hopper"]
    answered(other.enroll("staff", "collins", COLLINS), 201)
    assert names(one, COLLINS) == ["collins"]
    assert one.http.delete(subject_path("staff", "hopper")).is_success
    assert names(other, HOPPER) == []


def test_a_server_that_was_told_to_stop_exits_cleanly(start_server):
    server = start_server()
    server.stop()
    assert server.process.returncode in {0, -signal.SIGTERM, 128 + signal.SIGTERM}
    assert "Traceback" not in server.log.read_text()
