"""The clients of CompreFace, unmodified as their registries have them, work on a running service."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.client_programs import INSTALLED, PYTHON, copied, require, run
from tests.support.commands import new_keys
from tests.support.photos import NO_FACE
from tests.support.server import REPOSITORY, Server

pytestmark = pytest.mark.slow
IMAGES = REPOSITORY / "docs" / "images"
BOX = ["probability", "x_max", "x_min", "y_max", "y_min"]
EXPECTED = {
    "added": {"subject": "Eileen Collins"},
    "again": 43,
    "example": "Eileen Collins",
    "refused": 28,
    "listed": [True, 1],
    "named": ["Eileen Collins"],
    "sure": True,
    "plugins": [5, True, False],
    "status": [["calculator", "detector"], ["calculator", "detector"]],
    "compared": True,
    "verified": True,
    "source": BOX,
    "detected": [BOX, 5],
    "renamed": {"updated": True},
    "erased": "Collins",
    "missing": 44,
    "examples": {"deleted": 1},
    "left": {"subjects": ["Collins"]},
    "deleted": {"subject": "Collins"},
    "all_deleted": {"deleted": 1},
    "stranger": 10,
}
ONLY_JAVASCRIPT = {"several": ["Collins"], "none": {"deleted": 0}}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A service that answers as CompreFace, and a key as its users would have it."""
    data_dir = tmp_path_factory.mktemp("compreface") / "data"
    (key,) = new_keys(data_dir, ["--scopes", "verify,identify,embed,enroll,erase", "--galleries", "people"])
    with Server(data_dir, LIKENESS_COMPREFACE="on") as server:
        yield server, key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The programs, and the photos beside them: the JavaScript client takes relative paths alone."""
    made = copied("compreface", tmp_path)
    for name in ("collins.jpg", "collins-again.jpg"):
        shutil.copy(IMAGES / name, made)
    (made / "no-face.png").write_bytes(NO_FACE)
    return made


def arguments(server: Server, key: str) -> Sequence[str]:
    return [str(server.port), key, "./collins.jpg", "./collins-again.jpg", "./no-face.png"]


def test_the_python_client(running: tuple[Server, str], folder: Path) -> None:
    require(next(INSTALLED.glob("lib/python*/site-packages/compreface"), INSTALLED / "compreface"))
    assert last_line(run(folder, PYTHON, "use.py", *arguments(*running))) == EXPECTED


def test_the_javascript_client(running: tuple[Server, str], folder: Path) -> None:
    node = require(shutil.which("node"))
    require(INSTALLED / "typescript" / "node_modules" / "@exadel")
    (folder / "node_modules").symlink_to(INSTALLED / "typescript" / "node_modules")
    assert last_line(run(folder, node, "use.mjs", *arguments(*running))) == EXPECTED | ONLY_JAVASCRIPT


def last_line(output: str) -> Any:
    """Return what the program printed last: the JavaScript client prints as well."""
    return json.loads(output.splitlines()[-1])
