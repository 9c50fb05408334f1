"""Clients that well-known generators make of the running service's description pass a type checker, and work."""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.client_programs import INSTALLED, PYTHON, copied, require, run
from tests.support.commands import new_keys
from tests.support.photos import NO_FACE
from tests.support.server import REPOSITORY, Server

pytestmark = pytest.mark.slow
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

    checked = [program.name, client / "api", client / "models"]  # errors elsewhere are the generator's own
    run(program.parent, sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent",
        "--python-executable", PYTHON, *checked)  # fmt: skip
    assert answer_of(run(program.parent, PYTHON, program.name, *arguments)) == EXPECTED


def test_a_typescript_client(guarded: Server, arguments: Sequence[str], tmp_path: Path) -> None:
    node = require(shutil.which("node"))
    modules = require(INSTALLED / "typescript" / "node_modules")
    folder = copied("typescript", tmp_path)
    (folder / "node_modules").symlink_to(modules)

    run(folder, node, "generate.mjs", guarded.url)
    run(folder, node, "node_modules/typescript/bin/tsc")
    assert answer_of(run(folder, node, "built/use.js", *arguments)) == EXPECTED


def answer_of(output: str) -> Any:
    return json.loads(output)
