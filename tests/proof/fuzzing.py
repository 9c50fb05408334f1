"""Send hostile requests over several keep-alive connections; keep each one with an unplanned answer in a file."""

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from app.api.problems import PROBLEM_TYPES
from tests.support.background import map_in_threads
from tests.support.server import Server
from tests.support.wire import KeptWire, Reply

from .hostile_forms import Hostile, hostile_request

FINDINGS = Path(tempfile.gettempdir()) / "likeness-proof"
CONNECTIONS = 4
PLANNED = {200, 201, 404, 413, 415, 422}
BROKEN_HTTP = {*PLANNED, 400, 408, 431}
"""If HTTP itself is broken, the server may also refuse the request before the service sees it, or hang up."""
STATUS_OF = {code: int(kind.status) for code, kind in PROBLEM_TYPES.items()} | {
    "invalid_http": 400,
    "headers_too_large": 431,
}


@dataclass
class Tally:
    """The answers so far; shared by the connections."""

    answers: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    slowest: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, number: int, hostile: Hostile, answer: str, fault: str | None, seconds: float) -> None:
        with self.lock:
            self.answers[answer] += 1
            self.slowest = max(self.slowest, seconds)
            if fault:
                self.findings.append(
                    f"request {number}: {fault}; repeat it: nc 127.0.0.1 PORT < {kept(number, hostile)}"
                )


def kept(number: int, hostile: Hostile) -> Path:
    FINDINGS.mkdir(exist_ok=True)
    path = FINDINGS / f"request-{number}.http"
    path.write_bytes(hostile.data)
    return path


def fuzz(server: Server, numbers: Iterable[int], tally: Tally) -> Tally:
    waiting = iter(list(numbers))
    map_in_threads(lambda _: _one_connection(server, waiting, tally), range(CONNECTIONS), CONNECTIONS, within=3600)
    return tally


def _one_connection(server: Server, waiting: Iterable[int], tally: Tally) -> None:
    with KeptWire(server.port) as wire:
        for number in waiting:  # a list's iterator hands each number to one thread only
            hostile = hostile_request(number)
            began = time.monotonic()
            answer, fault = _ask(wire, hostile)
            tally.note(number, hostile, answer, fault, time.monotonic() - began)
            if answer == "nobody listens":
                return


def _ask(wire: KeptWire, hostile: Hostile) -> tuple[str, str | None]:
    """Return a short form of the answer, and what is wrong with it."""
    try:
        reply = wire.ask(hostile.data) if hostile.framed else wire.ask_alone(hostile.data)
    except TimeoutError:
        wire.close()
        return "hangs", "no answer in time"
    except ConnectionRefusedError:
        return "nobody listens", "the server is gone; it died of this request or of one on another connection"
    if reply is None:
        return "hangs up", "it hung up without an answer" if hostile.framed else None
    return f"{reply.status} {reply.code or reply.kind}", fault_of(reply, BROKEN_HTTP if not hostile.framed else PLANNED)


def fault_of(reply: Reply, planned: set[int]) -> str | None:
    if reply.status not in planned:
        return f"status {reply.status}: {reply.body[:300]!r}"
    if reply.status >= 400 and STATUS_OF.get(reply.code or "") != reply.status:
        return f"status {reply.status} without a problem document that says so: {reply.body[:300]!r}"
    return None
