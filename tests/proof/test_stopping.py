"""However the service ends, what it acknowledged is kept, and what it acknowledged as deleted is gone."""

import time

import pytest

from tests.end_to_end.operating import eventually
from tests.end_to_end.server import Server

from .lengths import length, tell
from .loads import Ledger, assert_kept, enrolling
from .opening import client

ROUNDS = length(2, 10)
ENDS = {"SIGTERM": Server.stop, "SIGKILL": Server.kill}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("end", ENDS)
def test_no_acknowledged_enrolment_or_deletion_is_lost_when_the_service_ends_under_load(tmp_path, end):
    ledger = Ledger()
    for number in range(ROUNDS):
        with Server(tmp_path / "data") as server, enrolling(server, ledger):
            wait_for_more(ledger)
            time.sleep(0.37 * (number % 5))
            ENDS[end](server)
    with Server(tmp_path / "data") as server, client(server) as likeness:
        assert_kept(likeness, ledger)
    kept, deleted = len(ledger.promised), len(ledger.deleted)
    tell(f"{end}, {ROUNDS} rounds: {kept} kept, {deleted} deleted, {len(ledger.tried)} tried")
    assert len(ledger.promised) > 2 * ROUNDS
    assert ledger.deleted != set()
    assert set(ledger.refusals) <= {(503, "overloaded")}


def wait_for_more(ledger):
    """Three more enrolments, and one more deletion, are acknowledged."""
    kept, deleted = len(ledger.promised), len(ledger.deleted)
    assert eventually(lambda: len(ledger.promised) > kept + 2 and len(ledger.deleted) > deleted, within=60)


def test_what_is_under_way_at_sigterm_is_answered(tmp_path):
    """Refusals in words, or the connection closed between two requests; never half an answer."""
    ledger = Ledger()
    with Server(tmp_path / "data") as server, enrolling(server, ledger, clients=8):
        assert eventually(lambda: ledger.promised != {}, within=60)
        server.stop()
    assert server.process.returncode in {0, -15, 143}
    assert "Traceback" not in server.log.read_text()
    assert ledger.promised != {}
