"""The `likeness` command beside a server, and a search for personal data in the files of its data directory."""

import base64
import json
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.api import Api
from tests.support.server import REPOSITORY, Server, environment

Entry = dict[str, Any]
SCOPES = ("verify", "identify", "embed", "enroll", "erase", "export", "metrics", "admin")


def run(data_dir: Path, *arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    return _python("-m", "app", *map(str, arguments), data_dir=data_dir, **settings)


def _python(*arguments: str, data_dir: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env=environment(data_dir, COLUMNS="200", NO_COLOR="1", **settings),
        capture_output=True,
        text=True,
        timeout=600,  # for a hanging command; a loaded machine is slow
        check=False,
    )


def ran(data_dir: Path, *arguments: object, **settings: str) -> str:
    done = run(data_dir, *arguments, **settings)
    assert done.returncode == 0, done
    return done.stdout


def refused(data_dir: Path, *arguments: object, **settings: str) -> str:
    """Return the one sentence of a command that must end with exit status 2."""
    done = run(data_dir, *arguments, **settings)
    assert done.returncode == 2, done
    assert "Traceback" not in done.stdout + done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


MANY = """
import contextlib, io, json, os, runpy, sys
for data_dir, arguments in json.loads(sys.argv[1]):
    os.environ["LIKENESS_DATA_DIR"], sys.argv = data_dir, ["likeness", *arguments]
    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.suppress(SystemExit):
        runpy.run_module("app", run_name="__main__")
    print(json.dumps(output.getvalue()))
"""


def outputs_of(*commands: tuple[Path, list[str]], **settings: str) -> list[str]:
    """Return what each command prints. One process runs them all, because most of a command's time is its start."""
    arguments = json.dumps([(str(data_dir), command) for data_dir, command in commands])
    done = _python("-c", MANY, arguments, data_dir=Path(), **settings)
    assert done.returncode == 0, done
    return [json.loads(line) for line in done.stdout.splitlines()]


def new_keys(data_dir: Path, *options: list[str]) -> list[str]:
    return [key.strip() for key in outputs_of(*[(data_dir, ["keys", "create", *option]) for option in options])]


def id_of(key: str) -> str:
    return key.split("_")[1]


def secret_of(key: str) -> str:
    return key.split("_", 2)[2]


def audit(data_dir: Path, *options: object) -> list[Entry]:
    return list(json.loads(ran(data_dir, "audit", "list", "--json", *options))["entries"])


def with_key(server: Server, key: str) -> Api:
    return Api.of(server, **{"X-API-Key": key})


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
    """Return which of the traces can be read in the files of the data directory, `-wal` included."""
    files = contents(data_dir)
    return {name for name, trace in traces.items() if any(trace in data for data in files.values())}


def traces_of(export: Entry) -> dict[str, bytes]:
    """Return how a person's vector, box, landmarks and metadata would look in a file, as numbers and as text."""
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
