"""Keys for a server, and a client of it as a context manager."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.end_to_end.likeness import Likeness
from tests.end_to_end.server import REPOSITORY, Server, environment


@contextmanager
def client(server: Server, **headers: str) -> Iterator[Likeness]:
    with httpx2.Client(base_url=server.url, timeout=60, headers=headers) as http:
        yield Likeness(http)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def new_key(data_dir: Path, *options: str) -> str:
    """As an operator makes one, at the terminal."""
    command = [sys.executable, "-m", "app", "keys", "create", "--json", *options]
    made = subprocess.run(
        command, cwd=REPOSITORY, env=environment(data_dir), capture_output=True, text=True, check=True
    )
    return str(json.loads(made.stdout)["key"])
