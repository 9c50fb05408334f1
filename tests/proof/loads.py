"""Clients that enrol and delete until the server is gone, and what the server acknowledged."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2

from tests.support.api import Api, subject_path
from tests.support.photos import COLLINS, small_jpeg
from tests.support.server import Server

PHOTO = small_jpeg(COLLINS, side=300)


@dataclass
class Ledger:
    """What the clients asked for, and what was promised to them: subject to face id."""

    tried: set[str] = field(default_factory=set)
    promised: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    refusals: list[tuple[int, str]] = field(default_factory=list)

    def note(self, subject: str, answer: httpx2.Response) -> None:
        if answer.status_code == 201:
            self.promised[subject] = answer.json()["enrolled"][0]["face_id"]
        else:
            self.refusals.append((answer.status_code, answer.json()["code"]))


@contextmanager
def enrolling(server: Server, ledger: Ledger, clients: int = 4) -> Iterator[None]:
    """Enrol while the block runs."""
    over = threading.Event()
    first = len(ledger.tried)
    workers = [
        threading.Thread(target=_enrol, args=(server, ledger, f"{first}-{number}", over), daemon=True)
        for number in range(clients)
    ]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        over.set()
        for worker in workers:
            worker.join()


def _enrol(server: Server, ledger: Ledger, name: str, over: threading.Event) -> None:
    """Enrol subjects, and delete every fourth again at once."""
    with Api.of(server) as api:
        number = 0
        while not over.is_set():
            number += 1
            try:
                _enrol_one(api, ledger, f"{name}-{number}", delete=number % 4 == 0)
            except httpx2.TransportError:  # the server is gone, or about to be
                time.sleep(0.02)


def _enrol_one(api: Api, ledger: Ledger, subject: str, *, delete: bool) -> None:
    ledger.tried.add(subject)
    ledger.note(subject, api.enroll("staff", subject, PHOTO))
    if delete and subject in ledger.promised:
        del ledger.promised[subject]  # from here on it may be there or not, until the deletion is acknowledged
        if api.http.delete(subject_path("staff", subject)).status_code == 204:
            ledger.deleted.add(subject)


def stored(api: Api, gallery: str = "staff") -> dict[str, list[str]]:
    """Return every subject with its face ids."""
    subjects = [name for page in api.subject_pages(gallery, 1000) for name in page]
    return {subject: api.face_ids(gallery, subject) for subject in subjects}


def assert_kept(api: Api, ledger: Ledger) -> None:
    """Check that every acknowledged change is kept, and that nothing is there that nobody enrolled."""
    found = stored(api)
    assert {subject: faces for subject, faces in found.items() if subject in ledger.promised} == {
        subject: [face] for subject, face in ledger.promised.items()
    }
    assert found.keys() & ledger.deleted == set()
    assert found.keys() <= ledger.tried
