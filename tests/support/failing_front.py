"""A proxy before a server that answers some requests, and then like one whose server is gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.serving import running_address


@contextmanager
def failing_after(requests: int, port: int) -> Iterator[str]:
    """Yield the address: `requests` requests reach the server at the port, and those behind get 502 and a page."""
    left = iter(range(requests))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._forward()

        def do_POST(self) -> None:
            self._forward()

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            if next(left, None) is None:
                self._answer(502, "text/html", b"<h1>Bad Gateway</h1>")
                return
            server = HTTPConnection("127.0.0.1", port, timeout=60)
            server.request(self.command, self.path, body, dict(self.headers))
            answer = server.getresponse()
            self._answer(answer.status, answer.headers["Content-Type"], answer.read())
            server.close()

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with running_address(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        yield url
