"""Acknowledged enrolments and deletions outlive every kind of end."""

import time
from pathlib import Path

import pytest

from tests.support.api import Api
from tests.support.commands import eventually
from tests.support.lengths import length, report
from tests.support.load import Ledger, assert_kept, enrolling
from tests.support.server import Server

ROUNDS = length(2, 10)
ENDS = {"SIGTERM": Server.stop, "SIGKILL": Server.kill}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("end", ENDS)
def test_no_acknowledged_enrolment_or_deletion_is_lost_when_the_service_ends_under_load(
    tmp_path: Path, end: str
) -> None:
    ledger = Ledger()
    for number in range(ROUNDS):
        with Server(tmp_path / "data") as server, enrolling(server.url, ledger):
            wait_for_more(ledger)
            time.sleep(0.37 * (number % 5))
            ENDS[end](server)
    with Server(tmp_path / "data") as server, Api.of(server) as api:
        assert_kept(api, ledger)
    kept, deleted = len(ledger.promised), len(ledger.deleted)
    report(f"{end}, {ROUNDS} rounds: {kept} kept, {deleted} deleted, {len(ledger.tried)} tried")
    assert len(ledger.promised) > 2 * ROUNDS
    assert ledger.deleted != set()
    assert ledger.refusals() <= {"overloaded"}


def wait_for_more(ledger: Ledger) -> None:
    """Wait until three more enrolments and one more deletion are acknowledged."""
    kept, deleted = len(ledger.promised), len(ledger.deleted)
    assert eventually(lambda: len(ledger.promised) > kept + 2 and len(ledger.deleted) > deleted, within=60)


def test_requests_under_way_at_sigterm_are_answered(tmp_path: Path) -> None:
    """Check that each answer is whole, or the connection is closed between two requests."""
    ledger = Ledger()
    with Server(tmp_path / "data") as server, enrolling(server.url, ledger, clients=8):
        assert eventually(lambda: ledger.promised != {}, within=60)
        server.stop()
    assert server.process.returncode in {0, -15, 143}
    assert "Traceback" not in server.log.read_text()
    assert ledger.promised != {}
