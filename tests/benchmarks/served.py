"""A server that is measured, and clients that cost next to nothing."""

from __future__ import annotations

import http.client
import itertools
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.machine import cpu_seconds
from tests.benchmarks.measure import Seconds
from tests.support.server import HOST, Server, ServerFailed

ANSWERED_WITHIN = 60.0
IDLE = 2.0
"""Seconds after which a client opens a new connection; uvicorn closes an idle one after five."""
OK, CREATED, REFUSED = 200, 201, 503
_NUMBERS = itertools.count()
_BOUNDLESS = {"LIKENESS_RATE_LIMIT": "1000000", "LIKENESS_LOG_LEVEL": "warning"}


class Served(Server):
    """
    `python -m MODULE` on a port of its own, until the block ends; `settings` are environment variables.

    It runs on the cores that the thread which opens it may use. Rates are counted but not limited.
    """

    def __init__(self, folder: Path, *module: str, provider: str = "cpu", **settings: str) -> None:
        command = [sys.executable, "-m", *(module or ("app", "serve"))]
        super().__init__(folder / f"data-{next(_NUMBERS)}", command=command, **{**_BOUNDLESS, **settings})
        self._settings["LIKENESS_PROVIDER"] = provider

    def cpu(self) -> float:
        """Return the seconds used so far."""
        return cpu_seconds(self.process.pid)

    def client(self, question: Question) -> Client:
        return Client(self.port, question)


@dataclass(frozen=True, slots=True)
class Question:
    """A request, ready to be sent."""

    path: str
    body: bytes
    content_type: str

    @classmethod
    def of(cls, path: str, images: Sequence[tuple[str, bytes]], **fields: str) -> Question:
        """Build a multipart form of files and plain fields."""
        boundary = uuid.uuid4().hex.encode()
        parts = [(f'"{name}"; filename="photo.jpg"\r\nContent-Type: image/jpeg', data) for name, data in images]
        parts += [(f'"{name}"', value.encode()) for name, value in fields.items()]
        lines = [
            b"--%s\r\nContent-Disposition: form-data; name=%s\r\n\r\n%s\r\n" % (boundary, head.encode(), data)
            for head, data in parts
        ]
        body = b"".join([*lines, b"--%s--\r\n" % boundary])
        return cls(path, body, f"multipart/form-data; boundary={boundary.decode()}")


def verify(photos: tuple[bytes, bytes], **fields: str) -> Question:
    return Question.of("/verify", list(zip(("image1", "image2"), photos, strict=True)), **fields)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    began: float
    seconds: float
    retry_after: float


class Client:
    """A connection that asks one question repeatedly; it is opened again when the server may have closed it."""

    def __init__(self, port: int, question: Question) -> None:
        self._answered = 0.0
        self._connection = http.client.HTTPConnection(HOST, port, timeout=ANSWERED_WITHIN)
        self._question = question

    def ask(self) -> Answer:
        """Return any answer. Raises OSError or HTTPException if there is none."""
        if time.monotonic() - self._answered > IDLE:
            self.close()  # the next request opens it again
        began = time.perf_counter()
        headers = {"Content-Type": self._question.content_type}
        self._connection.request("POST", self._question.path, self._question.body, headers)
        response = self._connection.getresponse()
        body = response.read()
        self._answered = time.monotonic()
        pause = float(response.headers.get("Retry-After", "0"))
        return Answer(response.status, body, began, time.perf_counter() - began, pause)

    def must(self) -> Answer:
        """Return a successful answer. Raises ServerFailed on any other."""
        answer = self.ask()
        if answer.status not in (OK, CREATED):
            raise ServerFailed(f"{self._question.path}: {answer.status} {answer.body[:500]!r}")
        return answer

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True, slots=True)
class Load:
    """The answers to some clients in `lasted` seconds; `lost` are the requests without an answer."""

    answers: Sequence[Answer]
    lost: Sequence[str]
    lasted: float

    def latencies(self, status: int = OK) -> Seconds:
        return np.sort([answer.seconds for answer in self.answers if answer.status == status])

    def throughput(self) -> float:
        """Return the successful answers for each second."""
        return len(self.latencies()) / self.lasted

    def others(self) -> list[str]:
        """Return the requests that were neither answered nor refused."""
        return [str(each.status) for each in self.answers if each.status not in (OK, REFUSED)] + list(self.lost)


def load(served: Served, question: Question, clients: int, seconds: float) -> Load:
    """Ask from so many clients at once; each asks again when it is answered, or when a refusal allows it."""
    began = time.perf_counter()

    def one(_: int) -> tuple[list[Answer], list[str]]:
        return _asking(lambda: served.client(question), began + seconds)

    with ThreadPoolExecutor(clients) as pool:
        parts = list(pool.map(one, range(clients)))
    lasted = time.perf_counter() - began
    return Load(
        [each for answers, _ in parts for each in answers], [each for _, lost in parts for each in lost], lasted
    )


def _asking(connect: Callable[[], Client], until: float) -> tuple[list[Answer], list[str]]:
    answers, lost = list[Answer](), list[str]()
    client = connect()
    while time.perf_counter() < until:
        try:
            answers.append(client.ask())
        except (OSError, http.client.HTTPException) as error:
            lost.append(f"{type(error).__name__}: {error}")
            client.close()
            client = connect()
        else:
            time.sleep(min(answers[-1].retry_after, max(0.0, until - time.perf_counter())))
    client.close()
    return answers, lost
