"""
Bodies of very many or very large elements neither stop the event loop nor fill the memory.

The application runs in this process. A heartbeat measures how much CPU time passes between two turns of the event loop:
time in which the machine does other work does not count, and time in which a thread holds the interpreter's lock does.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.types import Message

from app.main import create_app
from app.settings import Settings
from tests.support.lengths import report

MB = 1_000_000
CHUNK = 64 * 1024
LONGEST_STOP = 0.1
"""CPU seconds between two turns of the event loop."""
MOST_MEMORY = 200 * MB
"""Bytes that a body may cost beyond its own: it is held as received, as parsed text and as an image."""

KEYS = b"{" + b",".join(b'"k%06d":1' % number for number in range(524_288)) + b"}"
NESTED = b"[" + b",".join([b"[]"] * (20 * MB)) + b"]"
LINES = b'{"image": "' + (b"A" * 76 + b"\\r\\n") * (14 * MB // 80) + b'"}'
ESCAPES = b'{"image": "' + b"\\n" * (7 * MB) + b'"}'
SPACES = b'{"image": "' + b"A " * (7 * MB) + b'"}'
LONG_NAME = b'{"' + b"x" * (12 * MB) + b'": 1}'
METADATA = b'{"metadata": {"note": "' + b"x" * (60 * MB) + b'"}}'
POSTED = {"/detect", "/embed"}
REFUSED = [
    ("/detect", KEYS, "too_many_fields"),
    ("/galleries/default/subjects/ada", KEYS, "too_many_fields"),
    ("/embed", NESTED, "too_many_fields"),
    ("/galleries/default/subjects/ada", NESTED, "too_many_fields"),
    ("/embed", b'{"image": ' + b"[" * (60 * MB), "invalid_request"),
    ("/detect", b'{"image": "' + b"A" * (60 * MB) + b'"}', "image_too_large"),
    ("/detect", LINES, "invalid_image"),
    ("/detect", ESCAPES, "invalid_request"),
    ("/detect", SPACES, "invalid_image"),
    ("/detect", LONG_NAME, "invalid_request"),
    ("/galleries/default/subjects/ada", METADATA, "metadata_too_large"),
]


class Service:
    """The application, called as a server calls it: a body arrives in chunks, and the loop turns between them."""

    def __init__(self, data_dir: Path) -> None:
        self.app = create_app(Settings(data_dir=data_dir, rate_limit=0, _env_file=None))

    async def send(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        chunks = self._chunks(body)
        status, answer = 0, b""

        async def receive() -> Message:
            await asyncio.sleep(0)
            return next(chunks)

        async def send(message: Message) -> None:
            nonlocal status, answer
            status = message.get("status", status)
            answer += message.get("body", b"")

        headers = [(b"content-type", b"application/json"), (b"host", b"127.0.0.1")]
        scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
        await self.app(
            {**scope, "headers": headers, "client": ("127.0.0.1", 5), "http_version": "1.1", "state": {}}, receive, send
        )
        return status, answer

    @staticmethod
    def _chunks(body: bytes) -> Iterator[Message]:
        for start in range(0, len(body), CHUNK):
            yield {"type": "http.request", "body": body[start : start + CHUNK], "more_body": True}
        yield {"type": "http.request", "body": b"", "more_body": False}
        yield {"type": "http.disconnect"}


class Heartbeat:
    def __init__(self) -> None:
        self.longest = 0.0

    async def beat(self) -> None:
        while True:
            started = time.process_time()
            await asyncio.sleep(0)
            self.longest = max(self.longest, time.process_time() - started)


@asynccontextmanager
async def heartbeat() -> AsyncIterator[Heartbeat]:
    beating = Heartbeat()
    task = asyncio.create_task(beating.beat())
    await asyncio.sleep(0)
    try:
        yield beating
    finally:
        task.cancel()


def peak_resident() -> int:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


@pytest.mark.anyio
async def test_a_hostile_body_stops_neither_the_event_loop_nor_the_probes(tmp_path: Path) -> None:
    service = Service(tmp_path / "data")
    async with service.app.router.lifespan_context(service.app):
        for path, body, code in REFUSED:
            reset_peak()
            before = peak_resident()
            async with heartbeat() as beating:
                method = "POST" if path in POSTED else "PUT"
                answers = await asyncio.gather(
                    *(service.send(method, path, body) for _ in range(4)), service.send("GET", "/healthz")
                )
            *refusals, (status, _) = answers
            figures = (path, body[:20], code, beating.longest, (peak_resident() - before) / MB)
            report(figures)
            assert [json.loads(answer)["code"] for _, answer in refusals] == [code] * 4, figures
            assert all(len(answer) < 10_000 for _, answer in refusals), figures
            assert status == 200
            assert beating.longest < LONGEST_STOP, figures
            assert peak_resident() - before < MOST_MEMORY, figures
