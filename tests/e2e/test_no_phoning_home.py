"""Nothing looks up a host name or connects to another machine, and nothing is written outside the named folders."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import watched_network
from tests.support.background import map_in_threads
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
USE_THE_QUANTIZER = "import training.export.quantize  # which imports ONNX Runtime first\n" + USE_A_SESSION
TRAIN_AND_EXPORT = """
import subprocess, sys
from pathlib import Path
from tests.unit.training.conftest import _write_crop
folder = Path(sys.argv[1])
for face in range(6):
    _write_crop(folder / "people" / f"person{face // 2}" / f"{face}.png", seed=face)
(folder / "run.toml").write_text('''
run = {"threads" = 1}
data = {"roots" = ["{folder}/people"]}
network = {"name" = "small_resnet", "batch_norm" = "updated"}
batch = {"people" = 3, "faces" = 2}
loss = {"miner" = "batch-hard", "distillation_weight" = 0}
optimizer = {"steps" = 2}
'''.replace("{folder}", str(folder)))
for command in (["train", folder / "run.toml", "--output", folder / "run"],
                ["export", folder / "run", "--output", folder / "model", "--license", "none"]):
    subprocess.run([sys.executable, "-m", "training", *map(str, command)], check=True)
"""
GO_OUTSIDE = """
import contextlib, socket
with contextlib.suppress(OSError):
    socket.getaddrinfo("example.invalid", 80)
for address in ("192.0.2.1", "2001:db8::1"):
    with contextlib.suppress(OSError):
        socket.create_connection((address, 443))
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    if shutil.which("unshare") is None:
        pytest.skip("no unshare(1) here: a process cannot get a network of its own")
    tried = subprocess.run([*watched_network.NAMESPACE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no network namespace here: {tried.stderr.strip()}")
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def watched(command: list[str], home: Path, **variables: str) -> dict[str, Any]:
    """Run the command with an empty home folder; return the host names that it looked up and how often it connected."""
    report = home.parent / "report.json"
    (home / "tmp").mkdir(exist_ok=True)
    dropped = ("LIKENESS_", "XDG_", "ORT_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    environment |= {"HOME": str(home), "TMPDIR": str(home / "tmp"), "PYTHONPATH": str(REPOSITORY)}
    environment |= {"LIKENESS_DATA_DIR": str(home.parent / "data")} | variables
    watch = [*watched_network.NAMESPACE, sys.executable, watched_network.__file__, str(report)]
    done = subprocess.run(
        [*watch, *command], cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(report.read_text()))


NOTHING = {"names": [], "unreachable": 0}


def files_in(home: Path) -> list[Path]:
    return [path for path in home.rglob("*") if path.is_file()]


def test_what_goes_outside_is_seen(home: Path) -> None:
    seen = watched([sys.executable, "-c", GO_OUTSIDE], home)
    assert seen == {"names": ["example.invalid"], "unreachable": 2}


COMMANDS = {
    "serve": ["-c", SERVE],
    "command line": ["-m", "app", "verify", str(PHOTOS / "collins.jpg"), str(PHOTOS / "collins-again.jpg")],
    "a session": ["-c", USE_A_SESSION],
    "the quantizer": ["-c", USE_THE_QUANTIZER],
}


def test_nothing_goes_outside_and_the_home_folder_stays_empty(home: Path) -> None:
    """All run at once, because they wait."""
    homes = {name: home.parent / name / "home" for name in COMMANDS}
    for each in homes.values():
        each.mkdir(parents=True)

    def seen(name: str) -> dict[str, Any]:
        return watched([sys.executable, *COMMANDS[name]], homes[name])

    assert map_in_threads(seen, COMMANDS, len(COMMANDS), within=250) == [NOTHING] * len(COMMANDS)
    assert [files_in(each) for each in homes.values()] == [[]] * len(COMMANDS)


def test_training_and_export_send_nothing_and_write_only_what_they_were_told_to(home: Path) -> None:
    work = home.parent / "work"
    assert watched([sys.executable, "-c", TRAIN_AND_EXPORT, str(work)], home) == NOTHING
    assert (work / "model" / "embedder.onnx").exists()
    assert files_in(home) == []
