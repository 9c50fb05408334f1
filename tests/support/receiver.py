"""A local address that accepts every POST and keeps its headers and body."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from tests.support.serving import running_address

Posted = tuple[Mapping[str, str], bytes]


@contextmanager
def receiving(posted: list[Posted]) -> Iterator[str]:
    """Yield the address; what is sent there is added to `posted`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with running_address(HTTPServer(("127.0.0.1", 0), Handler)) as url:
        yield f"{url}/hook"
