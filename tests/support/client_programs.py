"""Run programs that use clients which are installed in an environment of their own, .venv/clients."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import REPOSITORY

PROGRAMS = REPOSITORY / "tests" / "e2e" / "clients"
INSTALLED = Path(sys.prefix) / "clients"
PYTHON = INSTALLED / "bin" / "python"


def require(path: str | Path | None) -> Path:
    """Return the path; skip the test where it is not installed."""
    if path is None or not Path(path).exists():
        pytest.skip(f"expected {path or 'node'}: `make test-slow` installs the clients, those of JavaScript with npm")
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
