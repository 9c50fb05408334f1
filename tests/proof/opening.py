"""A client of a server, as a context manager."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from tests.end_to_end.likeness import Likeness
from tests.end_to_end.server import Server


@contextmanager
def client(server: Server, **headers: str) -> Iterator[Likeness]:
    with httpx2.Client(base_url=server.url, timeout=60, headers=headers) as http:
        yield Likeness(http)
