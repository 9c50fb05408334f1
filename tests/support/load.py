"""Clients that enrol and delete until the server is gone, and what the server acknowledged."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2

from tests.support.api import Api, subject_path
from tests.support.background import background
from tests.support.photos import COLLINS, small_jpeg

GALLERY = "staff"
PHOTO = small_jpeg(COLLINS, side=300)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An enrolment from its beginning to its end, and the code of its answer: `ok`, a problem's code, or none."""

    began: float
    ended: float
    code: str | None


@dataclass
class Ledger:
    """The subjects that the clients sent, and those that were promised: subject to face id."""

    tried: set[str] = field(default_factory=set)
    promised: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    attempts: list[Attempt] = field(default_factory=list)

    def refusals(self) -> set[str]:
        return {attempt.code for attempt in self.attempts if attempt.code not in (None, "ok")}

    def enrol(self, api: Api, subject: str) -> None:
        """Enrol one subject. Raises TransportError if the server is gone."""
        self.tried.add(subject)
        began, code = time.monotonic(), None
        try:
            answer = api.enroll(GALLERY, subject, PHOTO)
            if answer.status_code == 201:
                self.promised[subject] = answer.json()["enrolled"][0]["face_id"]
            code = "ok" if answer.status_code == 201 else str(answer.json()["code"])
        finally:
            self.attempts.append(Attempt(began, time.monotonic(), code))

    def delete(self, api: Api, subject: str) -> None:
        if subject in self.promised:
            del self.promised[subject]  # from here on it may be there or not, until the deletion is acknowledged
            if api.http.delete(subject_path(GALLERY, subject)).status_code == 204:
                self.deleted.add(subject)


@contextmanager
def enrolling(url: str, ledger: Ledger, clients: int = 4, *, deletions: bool = True) -> Iterator[None]:
    """Enrol while the block runs, and delete every fourth subject again at once."""
    first, numbers = len(ledger.tried), itertools.count()

    def work(over: threading.Event) -> None:
        with Api.at(url) as api:
            while not over.is_set():
                number = next(numbers)
                try:
                    ledger.enrol(api, f"{first}-{number}")
                    if deletions and number % 4 == 0:
                        ledger.delete(api, f"{first}-{number}")
                except httpx2.TransportError:  # the server is gone, or about to be
                    time.sleep(0.02)

    with background(work, threads=clients):
        yield


def stored(api: Api, gallery: str = GALLERY) -> dict[str, list[str]]:
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
