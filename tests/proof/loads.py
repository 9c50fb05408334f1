"""Enrolments without end, and which of them were acknowledged."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2

from tests.end_to_end.likeness import Likeness, subject_path
from tests.end_to_end.server import Server
from tests.support.background import background

from .opening import client
from .photos import COLLINS, small_jpeg

PHOTO = small_jpeg(COLLINS, side=300)


@dataclass
class Ledger:
    """What the clients asked for, and what they were promised: subject to face id."""

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
    """While the block runs, and until the server is gone."""
    first, numbers = len(ledger.tried), itertools.count()

    def work(over: threading.Event) -> None:
        _enrol(server, ledger, first, numbers, over)

    with background(work, threads=clients):
        yield


def _enrol(server: Server, ledger: Ledger, first: int, numbers: Iterator[int], over: threading.Event) -> None:
    """Every fourth subject is deleted again at once."""
    with client(server) as likeness:
        for number in numbers:
            if over.is_set():
                return
            try:
                _enrol_one(likeness, ledger, f"{first}-{number}", delete=number % 4 == 0)
            except httpx2.TransportError:  # the server is gone, or about to be
                time.sleep(0.02)


def _enrol_one(likeness: Likeness, ledger: Ledger, subject: str, *, delete: bool) -> None:
    ledger.tried.add(subject)
    ledger.note(subject, likeness.enroll("staff", subject, PHOTO))
    if delete and subject in ledger.promised:
        del ledger.promised[subject]  # from here on it may be there or not, until the deletion is acknowledged
        if likeness.http.delete(subject_path("staff", subject)).status_code == 204:
            ledger.deleted.add(subject)


def stored(likeness: Likeness, gallery: str = "staff") -> dict[str, list[str]]:
    """Every subject with its face ids."""
    subjects = [name for page in likeness.subject_pages(gallery, 1000) for name in page]
    return {subject: likeness.face_ids(gallery, subject) for subject in subjects}


def assert_kept(likeness: Likeness, ledger: Ledger) -> None:
    """What was acknowledged is there, what was acknowledged as deleted is not, and nothing is there unasked."""
    found = stored(likeness)
    assert {subject: faces for subject, faces in found.items() if subject in ledger.promised} == {
        subject: [face] for subject, face in ledger.promised.items()
    }
    assert found.keys() & ledger.deleted == set()
    assert found.keys() <= ledger.tried
