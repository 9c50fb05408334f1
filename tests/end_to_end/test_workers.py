"""Several worker processes are one service: one gallery, one set of keys, one set of metrics, one end."""

import itertools
import json
import os
import signal
import time
import uuid

import httpx2
import pytest

from tests.support.background import background

from .contract import answered, problem
from .likeness import subject_path
from .operating import eventually, id_of, new_keys, ran, with_key
from .photos import another, collins, hopper, jpeg
from .server import Server
from .wire import Wire

HOPPER, COLLINS = jpeg(hopper()), jpeg(collins())
WORKERS = 2


@pytest.fixture(scope="module")
def admin(tmp_path_factory):
    """A data directory with an admin's key."""
    data_dir = tmp_path_factory.mktemp("workers")
    return data_dir, *new_keys(data_dir, ["--scopes", "admin"])


@pytest.fixture(scope="module")
def service(admin):
    with Server(admin[0], LIKENESS_WORKERS=str(WORKERS)) as running:
        yield running


def lines(server):
    whole, _, _being_written = server.log.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def worker_of(server, client):
    """Which process answers on this client's connection."""
    name = str(uuid.uuid4())
    client.http.get("/models", headers={"X-Request-ID": name})
    assert eventually(lambda: any(line["request_id"] == name for line in lines(server)))
    return next(line["worker"] for line in lines(server) if line["request_id"] == name)


@pytest.fixture
def connected(service):
    """With a key: a client of each worker, on a connection that stays with it."""
    opened = []

    def clients(key):
        found = {}
        while len(found) < WORKERS:
            opened.append(with_key(service, key))
            assert len(opened) < 300, "one worker takes all connections"
            found.setdefault(worker_of(service, opened[-1]), opened[-1])
        return found

    yield clients
    for client in opened:
        client.http.close()


@pytest.fixture
def each(connected, admin):
    return list(connected(admin[1]).values())


def names(client, image, gallery):
    return [candidate["subject_id"] for candidate in client.candidates(image, gallery)]


def test_what_one_enrols_all_find_at_once_and_what_one_erases_none(each):
    for round_, (one, other) in enumerate([each, each[::-1]] * 3):
        gallery = f"staff {round_}"
        answered(one.enroll(gallery, "hopper", HOPPER), 201)
        assert names(other, another(hopper()), gallery) == ["hopper"]
        assert names(one, another(hopper()), gallery) == ["hopper"]
        other.delete(subject_path(gallery, "hopper"))
        assert [names(client, HOPPER, gallery) for client in each] == [[], []]
        assert [client.http.get(subject_path(gallery, "hopper")).status_code for client in each] == [404, 404]


def test_an_enrolment_is_repeated_through_another_worker_without_a_second_face(each):
    for client in each * 2:
        answered(client.enroll("twice", "collins", COLLINS, key="once"), 201)
    assert [len(client.face_ids("twice", "collins")) for client in each] == [1, 1]


def test_a_key_that_is_revoked_holds_in_no_worker(service, connected):
    (key,) = new_keys(service.data_dir, ["--scopes", "verify"])
    clients = list(connected(key).values())
    ran(service.data_dir, "keys", "revoke", id_of(key))
    for client in clients:
        problem(client.http.get("/models"), 401, "unauthorized")


def metric(client, start):
    """The sum of the series that begin like this."""
    text = client.http.get("/metrics").text
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(start))


DETECTED = 'likeness_requests_total{method="POST",route="/detect",status="200"}'


def test_whichever_worker_is_asked_for_metrics_answers_for_all(each):
    before = metric(each[0], DETECTED)
    for client in [*each, *each, each[0]]:
        answered(client.detect(HOPPER))
    assert [metric(client, DETECTED) - before for client in each] == [5, 5]
    assert metric(each[0], "likeness_faces_found_count") >= 5
    assert metric(each[0], "likeness_gallery_subjects") == metric(each[1], "likeness_gallery_subjects")
    assert metric(each[0], "likeness_ready") == 1
    assert metric(each[0], "likeness_build_info") == 1
    assert each[0].http.get("/metrics").text.count("\nprocess_resident_memory_bytes{") == WORKERS


def test_a_killed_worker_is_replaced_and_what_it_counted_still_counts(service, connected, admin):
    clients = connected(admin[1])
    for client in clients.values():
        answered(client.detect(HOPPER))
    lost, kept = clients
    before = metric(clients[kept], DETECTED)
    os.kill(lost, signal.SIGKILL)
    assert eventually(lambda: any(f"worker {lost} ended" in line["message"] for line in lines(service)))
    assert lost not in connected(admin[1])
    assert metric(clients[kept], DETECTED) == before
    assert metric(clients[kept], f'process_open_fds{{pid="{lost}"}}') == 0


def test_a_port_in_use_stops_the_start_as_it_does_with_one(service, admin):
    second = Server(admin[0], LIKENESS_PORT=str(service.port), LIKENESS_WORKERS="2")
    status, words = second.fail_to_start()
    assert status == 2
    assert words.splitlines()[-1].startswith("error: cannot listen on 127.0.0.1, port ")


def is_stopping(server):
    try:
        return httpx2.get(f"{server.url}/healthz").json() == {"status": "stopping"}
    except httpx2.TransportError:  # it came to a worker that was just gone
        return False


def test_what_was_acknowledged_before_the_end_is_kept_and_the_end_comes_in_time(start_server):
    server = start_server(LIKENESS_WORKERS=str(WORKERS))
    promised, unplanned, numbers = set(), [], itertools.count()

    def enrol(over):
        with httpx2.Client(base_url=server.url, timeout=20) as http:
            while not over.is_set():
                subject = str(next(numbers))
                try:
                    answer = http.post(f"/galleries/g/subjects/{subject}/faces", files={"image": HOPPER})
                except httpx2.TransportError:  # the server is gone, or about to be
                    time.sleep(0.02)
                    continue
                if answer.status_code == 201:
                    promised.add(subject)
                elif answer.status_code != 503:
                    unplanned.append(answer.text)

    with Wire(server, patience=20) as wire, background(enrol, threads=4):
        wire.head("POST", "/detect", 9, Content_Type="application/json")  # holds one worker until it is cut off
        assert eventually(lambda: len(promised) > 4, within=30)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: is_stopping(server), within=3)
        assert server.process.wait(15) == 0
        assert time.monotonic() - began < 10
        assert wire.status() == 503
    exported = ran(server.data_dir, "gallery", "export", server.data_dir / "out", "--gallery", "g")
    kept = {json.loads(line).get("subject_id") for line in (server.data_dir / "out").read_text().splitlines()}
    assert promised <= kept, exported
    assert unplanned == []
    assert "Traceback" not in server.log.read_text()
