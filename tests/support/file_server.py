"""A local site with one file, whose connections break where a test says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.serving import running_address


@dataclass
class FileSite:
    """
    Serves `content` at `path`; each of `faults` spoils one answer, in order.

    A number ends the connection after so many bytes; "busy" answers 503. Without an `etag`, no parts are given.
    """

    path: str
    content: bytes
    faults: list[int | str] = field(default_factory=list)
    etag: str | None = '"1"'
    ranges: list[str | None] = field(default_factory=list)
    """The header Range of each request."""
    url: str = ""


@contextmanager
def serving(
    path: str, content: bytes, faults: Sequence[int | str] = (), etag: str | None = '"1"'
) -> Iterator[FileSite]:
    site = FileSite(path, content, list(faults), etag)
    with running_address(ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(site))) as site.url:
        yield site


def _handler_of(site: FileSite) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.ranges.append(self.headers["Range"])
            fault = site.faults.pop(0) if site.faults else None
            if fault == "busy" or self.path != site.path:
                self.send_error(503 if fault == "busy" else 404)
                return
            start = self._start()
            self.send_response(206 if start else 200)
            body = site.content[start:]
            self.send_header("Content-Length", str(len(body)))
            if site.etag:
                self.send_header("ETag", site.etag)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(site.content) - 1}/{len(site.content)}")
            self.end_headers()
            self.wfile.write(body[:fault] if isinstance(fault, int) else body)

        def _start(self) -> int:
            asked = self.headers["Range"]
            return (
                int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.headers["If-Range"] == site.etag else 0
            )

        def log_message(self, *_: object) -> None:
            pass

    return Handler
