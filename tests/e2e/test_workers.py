"""Several worker processes are one service: one gallery, one set of keys, one set of metrics, one end."""

import json
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from tests.support.answers import answered, problem
from tests.support.api import Api, subject_path
from tests.support.clock import unhurried
from tests.support.commands import eventually, id_of, new_keys, ran, with_key
from tests.support.load import Ledger, enrolling
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN
from tests.support.server import Server
from tests.support.wire import Wire

WORKERS = 2
DETECTED = 'likeness_requests_total{method="POST",route="/detect",status="200"}'
Connect = Callable[[str], dict[int, Api]]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("workers") / "data", LIKENESS_WORKERS=str(WORKERS)) as running:
        yield running


@pytest.fixture(scope="module")
def admin(service: Server) -> str:
    (key,) = new_keys(service.data_dir, ["--scopes", "admin"])
    return key


def lines(server: Server) -> list[dict[str, Any]]:
    whole, _, _being_written = server.log.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def worker_of(server: Server, api: Api) -> int:
    """Return the process that answers on this client's connection."""
    name = str(uuid.uuid4())
    api.http.get("/models", headers={"X-Request-ID": name})
    assert eventually(lambda: any(line["request_id"] == name for line in lines(server)))
    return next(int(line["worker"]) for line in lines(server) if line["request_id"] == name)


@pytest.fixture
def connected(service: Server) -> Iterator[Connect]:
    """A function that opens a client of each worker with a key; a connection stays with its worker."""
    with ExitStack() as opened:

        def clients(key: str) -> dict[int, Api]:
            found: dict[int, Api] = {}
            for _ in range(300):
                api = opened.enter_context(with_key(service, key))
                found.setdefault(worker_of(service, api), api)
                if len(found) == WORKERS:
                    return found
            pytest.fail("one worker takes all connections")

        yield clients


@pytest.fixture
def each(connected: Connect, admin: str) -> list[Api]:
    return list(connected(admin).values())


def test_every_worker_sees_an_enrolment_and_an_erasure_at_once(each: list[Api]) -> None:
    for round_, (one, other) in enumerate([each, each[::-1]] * 3):
        gallery = f"staff {round_}"
        answered(one.enroll(gallery, "hopper", HOPPER), 201)
        assert [client.names(HOPPER_AGAIN, gallery) for client in each] == [["hopper"], ["hopper"]]
        other.delete(subject_path(gallery, "hopper"))
        assert [client.names(HOPPER, gallery) for client in each] == [[], []]
        assert [client.http.get(subject_path(gallery, "hopper")).status_code for client in each] == [404, 404]


def test_an_enrolment_is_repeated_through_another_worker_without_a_second_face(each: list[Api]) -> None:
    for client in each * 2:
        answered(client.enroll("twice", "collins", COLLINS, key="once"), 201)
    assert [len(client.face_ids("twice", "collins")) for client in each] == [1, 1]


def test_a_revoked_key_ends_in_every_worker(service: Server, connected: Connect, admin: str) -> None:
    assert admin
    (key,) = new_keys(service.data_dir, ["--scopes", "verify"])
    clients = list(connected(key).values())
    ran(service.data_dir, "keys", "revoke", id_of(key))
    for client in clients:
        problem(client.http.get("/models"), 401, "unauthorized")


def test_the_metrics_of_any_worker_count_for_all(each: list[Api]) -> None:
    before = each[0].metric(DETECTED)
    for client in [*each, *each, each[0]]:
        answered(client.detect(HOPPER))
    assert [client.metric(DETECTED) - before for client in each] == [5, 5]
    assert each[0].metric("likeness_faces_found_count") >= 5
    assert each[0].metric("likeness_gallery_subjects") == each[1].metric("likeness_gallery_subjects")
    assert each[0].metric("likeness_ready") == 1
    assert each[0].metric("likeness_build_info") == 1
    assert each[0].http.get("/metrics").text.count("\nprocess_resident_memory_bytes{") == WORKERS


def test_a_killed_worker_is_replaced_and_its_counts_stay(service: Server, connected: Connect, admin: str) -> None:
    clients = connected(admin)
    for client in clients.values():
        answered(client.detect(HOPPER))
    lost, kept = clients
    before = clients[kept].metric(DETECTED)
    os.kill(lost, signal.SIGKILL)
    assert eventually(lambda: any(f"worker {lost} ended" in line["message"] for line in lines(service)))
    assert lost not in connected(admin)
    assert clients[kept].metric(DETECTED) == before
    assert clients[kept].metric(f'process_open_fds{{pid="{lost}"}}') == 0


def is_stopping(server: Server) -> bool:
    try:
        return bool(httpx2.get(f"{server.url}/healthz").json() == {"status": "stopping"})
    except httpx2.TransportError:  # it came to a worker that was just gone
        return False


def test_acknowledged_enrolments_are_kept_at_the_end_which_comes_in_time(start_server: Callable[..., Server]) -> None:
    server, ledger = start_server(LIKENESS_WORKERS=str(WORKERS)), Ledger()
    with Wire(server, patience=20) as wire, enrolling(server.url, ledger, deletions=False):
        wire.head("POST", "/detect", 9, Content_Type="application/json")  # holds one worker until it is cut off
        assert eventually(lambda: len(ledger.promised) > 4, within=30)
        began = unhurried()
        server.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: is_stopping(server), within=3)
        assert server.process.wait(15) == 0
        assert unhurried() - began < 10
        assert wire.status() == 503
    exported = ran(server.data_dir, "gallery", "export", server.data_dir / "out", "--gallery", "staff")
    kept = {json.loads(line).get("subject_id") for line in (server.data_dir / "out").read_text().splitlines()}
    assert ledger.promised.keys() <= kept, exported
    assert ledger.refusals() <= {"overloaded"}
    assert "Traceback" not in server.log.read_text()
