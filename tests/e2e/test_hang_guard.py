"""A failing test cannot keep pytest alive, whatever threads and processes it leaves behind."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import REPOSITORY, environment

SPINNING = """
import subprocess, sys, threading, time
from concurrent.futures import ThreadPoolExecutor

def spin():
    while True:
        time.sleep(0.05)

"""
LEAVE_A_THREAD = "def test_it():\n    threading.Thread(target=spin, name='spinner').start()\n    assert False\n"
LEAVE_A_PROCESS = "def test_it():\n    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
WAIT_FOR_A_POOL = "def test_it():\n    with ThreadPoolExecutor(1) as pool:\n        pool.submit(spin).result()\n"
LEAVE_NOTHING = "def test_it():\n    ThreadPoolExecutor(1).submit(int).result()\n"


def run(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    """Run one test with the plugin, and a timeout of two seconds."""
    (folder / "test_inner.py").write_text(SPINNING + body)
    options = ["-p", "tests.support.hang_guard", "-p", "no:cacheprovider", "--rootdir", ".", "-o", "timeout=2"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=folder,
        env=environment(folder, PYTHONPATH=str(REPOSITORY)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(LEAVE_A_THREAD, "the tests left behind: thread spinner", id="a thread"),
        pytest.param(LEAVE_A_PROCESS, "time.sleep(600)", id="a process"),
        pytest.param(WAIT_FOR_A_POOL, "test_inner.py::test_it does not end", id="a pool that is waited for"),
    ],
)
def test_a_test_that_leaves_something_behind_fails_the_run_which_ends(tmp_path: Path, body: str, reason: str) -> None:
    done = run(tmp_path, body)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "test_inner.py" in done.stderr or "subprocess" in body


def test_an_idle_thread_of_a_pool_is_nothing_left_behind(tmp_path: Path) -> None:
    done = run(tmp_path, LEAVE_NOTHING)
    assert (done.returncode, done.stderr) == (0, "")
