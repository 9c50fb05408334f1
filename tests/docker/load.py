"""Callers that go on enrolling until nobody answers, and write down what became of each request."""

import itertools
import threading
import time
from dataclasses import dataclass
from typing import Any, Self

import httpx2

from tests.support.background import background

from ..end_to_end.likeness import Likeness


@dataclass(frozen=True, slots=True)
class Attempt:
    subject: str
    began: float
    ended: float
    status: int | None
    """None where there was no answer."""


class Load:
    """A context manager; each request has a connection of its own."""

    def __init__(self, url: str, gallery: str, photo: bytes, callers: int = 4) -> None:
        self._url, self._gallery, self._photo = url, gallery, photo
        self._numbers = itertools.count()
        self._callers = background(self._call, threads=callers)
        self.attempts: list[Attempt] = []

    def __enter__(self) -> Self:
        self._callers.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._callers.__exit__(*raised)

    def acknowledged(self) -> list[str]:
        return [attempt.subject for attempt in self.attempts if attempt.status == 201]

    def under_way(self, moment: float) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.began < moment < attempt.ended]

    def begun_before(self, moment: float) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.began < moment]

    def _call(self, over: threading.Event) -> None:
        while not over.is_set():
            subject, began = f"subject-{next(self._numbers)}", time.monotonic()
            self.attempts.append(Attempt(subject, began, status=self._enroll(subject), ended=time.monotonic()))

    def _enroll(self, subject: str) -> int | None:
        try:
            with httpx2.Client(base_url=self._url, timeout=30) as http:
                return Likeness(http).enroll(self._gallery, subject, self._photo).status_code
        except httpx2.TransportError:
            return None
