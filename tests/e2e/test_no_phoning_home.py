"""Nothing looks up a host name, and nothing is written outside the folders that were named."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import watched_network
from tests.support.server import REPOSITORY

PHOTOS = REPOSITORY / "docs" / "images"
SECONDS = 10
"""ONNX Runtime looked up its vendor's host within this time of the first session, before it was told not to."""
SERVE = f"""
import subprocess, sys, time, urllib.request
server = subprocess.Popen([sys.executable, "-m", "app", "serve"])
try:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen("http://127.0.0.1:8000/readyz", timeout=5).close()
            break
        except OSError:
            time.sleep(0.2)
    time.sleep({SECONDS})
finally:
    server.terminate()
sys.exit(server.wait(30) not in (0, -15))  # uvicorn ends by the signal that it got
"""
USE_A_SESSION = f"""
import time
from app.inference.onnx_session import Session
from pathlib import Path
Session(Path("models/mtcnn/pnet.onnx").read_bytes(), provider="cpu")
time.sleep({SECONDS})
"""
USE_TRAINING = (
    """
import training.cli.main, training.engine.trainer, training.export.onnx, training.export.quantize
"""
    + USE_A_SESSION
)
LOOK_UP = "import socket\ntry:\n    socket.getaddrinfo('example.invalid', 80)\nexcept OSError:\n    pass\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    if shutil.which("unshare") is None:
        pytest.skip("no unshare(1) here: a process cannot get a network of its own")
    tried = subprocess.run([*watched_network.NAMESPACE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no network namespace here: {tried.stderr.strip()}")
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def names_looked_up_by(command: list[str], home: Path, **variables: str) -> list[str]:
    """Run the command with an empty home folder; return the host names that it looked up."""
    report = home.parent / "names.json"
    dropped = ("LIKENESS_", "XDG_", "ORT_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    environment |= {"HOME": str(home), "LIKENESS_DATA_DIR": str(home.parent / "data"), "PYTHONPATH": str(REPOSITORY)}
    environment |= variables
    watch = [*watched_network.NAMESPACE, sys.executable, watched_network.__file__, str(report)]
    done = subprocess.run(
        [*watch, *command], cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    names: list[str] = json.loads(report.read_text())
    return names


def test_a_look_up_is_seen(home: Path) -> None:
    assert names_looked_up_by([sys.executable, "-c", LOOK_UP], home) == ["example.invalid"]


@pytest.mark.parametrize(
    "command",
    [
        ["-c", SERVE],
        ["-m", "app", "verify", str(PHOTOS / "collins.jpg"), str(PHOTOS / "collins-again.jpg")],
        ["-c", USE_A_SESSION],
        ["-c", USE_TRAINING],
    ],
    ids=["serve", "command line", "a session", "training and export"],
)
def test_no_host_is_looked_up_and_the_home_folder_stays_empty(home: Path, command: list[str]) -> None:
    assert names_looked_up_by([sys.executable, *command], home) == []
    files = [path for path in home.rglob("*") if path.is_file()]
    assert [path for path in files if path.parent.name != "matplotlib"] == []  # its list of fonts, which plots need
