"""What an operator does beside a server: `likeness` commands, keys, sockets, and a look at the files."""

import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import httpx2
import numpy as np

from .likeness import Likeness
from .server import HOST, REPOSITORY, Server, environment

Entry = dict[str, Any]
SCOPES = ("verify", "identify", "enroll", "metrics", "admin")


def run(data_dir: Path, *arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *map(str, arguments)],
        cwd=REPOSITORY,
        env=environment(data_dir, COLUMNS="200", NO_COLOR="1", **settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def ran(data_dir: Path, *arguments: object, **settings: str) -> str:
    done = run(data_dir, *arguments, **settings)
    assert done.returncode == 0, done
    return done.stdout


def refused(data_dir: Path, *arguments: object, **settings: str) -> str:
    """The one sentence of a command that must end with 2."""
    done = run(data_dir, *arguments, **settings)
    assert done.returncode == 2, done
    assert "Traceback" not in done.stdout + done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


MANY = """
import contextlib, io, json, os, runpy, sys
for data_dir, arguments in json.loads(sys.argv[1]):
    os.environ["LIKENESS_DATA_DIR"], sys.argv = data_dir, ["likeness", *arguments]
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        runpy.run_module("app", run_name="__main__")
    print(json.dumps(said.getvalue()))
"""


def said_by(*commands: tuple[Path, list[str]]) -> list[str]:
    """What each of these commands prints, all run by one process: most of a command's time is its start."""
    arguments = json.dumps([(str(data_dir), command) for data_dir, command in commands])
    done = subprocess.run(
        [sys.executable, "-c", MANY, arguments],
        cwd=REPOSITORY,
        env=environment(Path(), COLUMNS="200", NO_COLOR="1"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def new_keys(data_dir: Path, *options: list[str]) -> list[str]:
    return [key.strip() for key in said_by(*[(data_dir, ["keys", "create", *option]) for option in options])]


def new_key(data_dir: Path, *options: object) -> str:
    return ran(data_dir, "keys", "create", *options).strip()


def id_of(key: str) -> str:
    return key.split("_")[1]


def audit(data_dir: Path, *options: object) -> list[Entry]:
    return list(json.loads(ran(data_dir, "audit", "list", "--json", *options))["entries"])


def with_key(server: Server, key: str) -> Likeness:
    return Likeness(httpx2.Client(base_url=server.url, timeout=30, headers={"X-API-Key": key}))


def eventually(condition: Callable[[], bool], within: float = 10.0) -> bool:
    deadline = time.monotonic() + within
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return held


def encryption_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def copied(data_dir: Path, to: Path) -> Path:
    return Path(shutil.copytree(data_dir, to))


def contents(data_dir: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in data_dir.iterdir()}


def found(traces: Mapping[str, bytes], data_dir: Path) -> set[str]:
    """Which of these can be read in the data directory's files, `-wal` included."""
    files = contents(data_dir)
    return {name for name, trace in traces.items() if any(trace in data for data in files.values())}


def traces_of(export: Entry) -> dict[str, bytes]:
    """What of a person could lie about: a vector's bytes, a box and landmarks as numbers and as text."""
    (face,) = export["faces"]
    vector = np.array(face["embedding"], dtype="<f4")
    edge, landmark = face["box"][0], face["landmarks"][0][0]
    return {
        "vector": vector[8:16].tobytes(),
        "wide vector": vector.astype("<f8")[8:12].tobytes(),
        "vector as text": str(face["embedding"][8]).encode(),
        "box": str(edge).encode(),
        "binary box": struct.pack("<d", edge),
        "landmark": str(landmark).encode(),
        "metadata": str(export["metadata"]["name"]).encode(),
    }


class Wire:
    """A client that has no manners: raw bytes to a server, and what came back until it closed."""

    def __init__(self, server: Server, patience: float = 6.0) -> None:
        self.socket = socket.create_connection((HOST, server.port), timeout=patience)

    def send(self, *pieces: bytes) -> Self:
        for piece in pieces:
            self.socket.sendall(piece)
        return self

    def head(self, method: str, path: str, length: int, **headers: str) -> Self:
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return self.send("\r\n".join([*lines, "", ""]).encode())

    def answer(self) -> bytes:
        """All that comes before the server closes; a server that does not close is a TimeoutError."""
        received = b""
        try:
            while more := self.socket.recv(2**16):
                received += more
        except ConnectionResetError:
            pass
        return received

    def status(self) -> int:
        return int(self.answer().split()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def sent_until_refused(wire: Wire, piece: Callable[[], bytes], most: int) -> int:
    """How many bytes the other side took before it closed."""
    sent = 0
    try:
        while sent < most:
            sent += wire.socket.send(piece())
    except OSError:
        pass
    return sent
