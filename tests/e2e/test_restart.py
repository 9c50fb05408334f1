"""
An enrolment answered with 201 is on the disk: it outlives a crash, and a second server sees it.

tests/proof/test_stopping.py ends a server in other ways.
"""

from collections.abc import Callable

from tests.support.answers import answered, problem
from tests.support.api import Api, subject_path
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN
from tests.support.server import Server

Start = Callable[..., Server]
Connect = Callable[[Server], Api]


def test_enrolments_and_deletions_outlive_a_crash(start_server: Start, connect: Connect) -> None:
    first = start_server()
    before = connect(first)
    answered(before.enroll("staff", "hopper", HOPPER, key="once"), 201)
    before.describe("staff", "hopper", {"name": "Grace"})
    answered(before.enroll("staff", "collins", COLLINS), 201)
    assert before.http.delete(subject_path("staff", "collins")).is_success
    first.kill()
    assert "Traceback" not in first.log.read_text()

    after = connect(start_server())
    assert after.names(HOPPER_AGAIN, "staff") == ["hopper"]
    assert after.candidates(HOPPER, "staff")[0]["metadata"] == {"name": "Grace"}
    assert after.names(COLLINS, "staff") == []
    problem(after.http.get(subject_path("staff", "collins")), 404, "not_found")
    answered(after.enroll("staff", "hopper", HOPPER, key="once"), 201)
    assert len(after.face_ids("staff", "hopper")) == 1


def test_two_servers_on_one_data_directory_agree_at_once(start_server: Start, connect: Connect) -> None:
    one, other = connect(start_server()), connect(start_server())
    answered(one.enroll("staff", "hopper", HOPPER), 201)
    assert other.names(HOPPER, "staff") == ["hopper"]
    answered(other.enroll("staff", "collins", COLLINS), 201)
    assert one.names(COLLINS, "staff") == ["collins"]
    assert one.http.delete(subject_path("staff", "hopper")).is_success
    assert other.names(HOPPER, "staff") == []
