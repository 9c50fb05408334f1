"""A server in a process of its own, what it uses, and clients that cost next to nothing."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from tests.benchmarks.machine import REPOSITORY, cpu_seconds
from tests.benchmarks.measure import Seconds
from tests.end_to_end.server import HOST, environment, family, free_port, pages

READY_WITHIN, STOPPED_WITHIN, ANSWERED_WITHIN = 60.0, 15.0, 60.0
IDLE = 2.0
"""Seconds after which a client opens a new connection; uvicorn closes an idle one after five."""
OK, CREATED, REFUSED = 200, 201, 503
_BOUNDLESS = {"LIKENESS_RATE_LIMIT": "1000000", "LIKENESS_LOG_LEVEL": "warning"}


class NotServed(Exception):
    """The server did not start, or answered something else than was expected."""


class Served:
    """
    `python -m MODULE` on a port of its own, until the block ends; `settings` are environment variables.

    It runs on the cores that the thread which opens it may use. Rates are counted but not limited.
    """

    def __init__(self, folder: Path, *module: str, provider: str = "cpu", **settings: str) -> None:
        self._module = module or ("app", "serve")
        self.port = free_port()
        self._log = folder / f"server-{self.port}.log"
        own = {"LIKENESS_HOST": HOST, "LIKENESS_PORT": str(self.port), "LIKENESS_PROVIDER": provider}
        self._environment = environment(folder / f"data-{self.port}", **_BOUNDLESS, **own, **settings)

    def __enter__(self) -> Self:
        self.launch()
        self.wait()
        return self

    def launch(self) -> None:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._module],
                cwd=REPOSITORY,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> None:
        """Until it is ready. Raises NotServed."""
        until = time.monotonic() + READY_WITHIN
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > until:
                self._process.kill()
                raise NotServed(f"no server (exit {self._process.poll()}):\n{self._log.read_text()}")
            time.sleep(0.01)

    def _ready(self) -> bool:
        try:
            connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
            connection.request("GET", "/readyz")
            return connection.getresponse().status == OK
        except OSError:
            return False
        finally:
            connection.close()

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def cpu(self) -> float:
        """Seconds used so far."""
        return cpu_seconds(self._process.pid)

    def resident(self) -> int:
        """Bytes, its children's too."""
        return sum(pages(pid, "VmRSS") for pid in family(self._process.pid))

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
        """Of multipart parts: files, and plain fields."""
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
    """One connection, which asks one question again and again; a new one where the server may have closed it."""

    def __init__(self, port: int, question: Question) -> None:
        self._answered = 0.0
        self._connection = http.client.HTTPConnection(HOST, port, timeout=ANSWERED_WITHIN)
        self._question = question

    def ask(self) -> Answer:
        """Whatever comes. Raises OSError or HTTPException where nothing does."""
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
        """Raises NotServed where it is neither an answer nor made what was asked for."""
        answer = self.ask()
        if answer.status not in (OK, CREATED):
            raise NotServed(f"{self._question.path}: {answer.status} {answer.body[:500]!r}")
        return answer

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True, slots=True)
class Load:
    """What some clients got who asked for `lasted` seconds; `lost` are those that no answer came to."""

    answers: Sequence[Answer]
    lost: Sequence[str]
    lasted: float

    def latencies(self, status: int = OK) -> Seconds:
        return np.sort([answer.seconds for answer in self.answers if answer.status == status])

    def throughput(self) -> float:
        """Answers with 200, a second."""
        return len(self.latencies()) / self.lasted

    def others(self) -> list[str]:
        """What was neither answered nor refused."""
        return [str(each.status) for each in self.answers if each.status not in (OK, REFUSED)] + list(self.lost)


def load(served: Served, question: Question, clients: int, seconds: float) -> Load:
    """From so many clients at once, each asking again when it is answered, or when a refusal says that it may."""
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
