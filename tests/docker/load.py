"""Clients that enrol without pause, and record the answer to each request."""

import itertools
import threading
import time
from dataclasses import dataclass
from typing import Self

import httpx2

from tests.support.api import Api


@dataclass(frozen=True, slots=True)
class Attempt:
    subject: str
    began: float
    ended: float
    status: int | None
    """None if there was no answer."""


class Load:
    """Enrol while the block runs; each request has a new connection."""

    def __init__(self, url: str, gallery: str, photo: bytes, callers: int = 4) -> None:
        self._url, self._gallery, self._photo = url, gallery, photo
        self._subjects = (f"subject-{number}" for number in itertools.count())
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(callers)]
        self._over = threading.Event()
        self.attempts: list[Attempt] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def acknowledged(self) -> list[str]:
        return [attempt.subject for attempt in self.attempts if attempt.status == 201]

    def under_way(self, moment: float) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.began < moment < attempt.ended]

    def begun_before(self, moment: float) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.began < moment]

    def _call(self) -> None:
        while not self._over.is_set():
            subject, began = next(self._subjects), time.monotonic()
            self.attempts.append(Attempt(subject, began, status=self._enroll(subject), ended=time.monotonic()))

    def _enroll(self, subject: str) -> int | None:
        try:
            with Api.at(self._url) as api:
                return api.enroll(self._gallery, subject, self._photo).status_code
        except httpx2.TransportError:
            return None
