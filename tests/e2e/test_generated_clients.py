"""Clients that well-known generators make of the running service's description pass a type checker, and work."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import new_keys
from tests.support.photos import NO_FACE
from tests.support.server import REPOSITORY, Server

pytestmark = pytest.mark.slow
PROGRAMS = Path(__file__).parent / "clients"
INSTALLED = Path(sys.prefix) / "clients"
IMAGES = REPOSITORY / "docs" / "images"
EXPECTED = {
    "match": True,
    "consent": "form 7",
    "expires_at": "2999-01-01T00:00:00.000Z",
    "enrolled": ["a/b"],
    "rejected": ["face_not_found"],
    "named": ["a/b"],
    "problem": [422, "face_not_found", "image2"],
    "listed": ["a/b", "z"],
    "erased": 204,
    "left": ["z"],
}


@pytest.fixture
def arguments(guarded: Server, tmp_path: Path) -> list[str]:
    """The arguments of both programs: a server, a key, two photos of one person, and an image without a face."""
    (key,) = new_keys(guarded.data_dir, ["--scopes", "admin"])
    no_face = tmp_path / "no-face.png"
    no_face.write_bytes(NO_FACE)
    return [guarded.url, key, str(IMAGES / "collins.jpg"), str(IMAGES / "collins-again.jpg"), str(no_face)]


def test_a_python_client(guarded: Server, arguments: Sequence[str], tmp_path: Path) -> None:
    generator = require(INSTALLED / "bin" / "openapi-python-client")
    program = copied("python", tmp_path) / "use.py"
    client = program.parent / "likeness_client"
    run(program.parent, generator, "generate", "--url", f"{guarded.url}/openapi.json", "--meta", "none",
        "--output-path", client, "--fail-on-warning")  # fmt: skip

    python = INSTALLED / "bin" / "python"
    checked = [program.name, client / "api", client / "models"]  # errors elsewhere are the generator's own
    run(program.parent, sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent",
        "--python-executable", python, *checked)  # fmt: skip
    assert answer_of(run(program.parent, python, program.name, *arguments)) == EXPECTED


def test_a_typescript_client(guarded: Server, arguments: Sequence[str], tmp_path: Path) -> None:
    node = require(shutil.which("node"))
    modules = require(INSTALLED / "typescript" / "node_modules")
    folder = copied("typescript", tmp_path)
    (folder / "node_modules").symlink_to(modules)

    run(folder, node, "generate.mjs", guarded.url)
    run(folder, node, "node_modules/typescript/bin/tsc")
    assert answer_of(run(folder, node, "built/use.js", *arguments)) == EXPECTED


def require(path: str | Path | None) -> Path:
    """Return the path; skip the test where it is not installed."""
    if path is None or not Path(path).exists():
        pytest.skip(
            f"expected {path or 'node'}: `make test-slow` installs the generators, those of TypeScript with npm"
        )
    return Path(path)


def copied(language: str, to: Path) -> Path:
    return Path(shutil.copytree(PROGRAMS / language, to / language))


def run(folder: Path, *command: object) -> str:
    environment = {**os.environ, "PATH": f"{INSTALLED / 'bin'}:{os.environ['PATH']}"}  # the generator formats with ruff
    done = subprocess.run(
        [*map(str, command)], cwd=folder, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def answer_of(output: str) -> Any:
    return json.loads(output)
