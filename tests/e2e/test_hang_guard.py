"""A failing test cannot keep pytest alive, whatever threads and processes it leaves behind."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.support.api import at_once
from tests.support.server import REPOSITORY, environment

SPINNING = """
import subprocess, sys, threading, time
from concurrent.futures import ThreadPoolExecutor

def spin():
    while True:
        time.sleep(0.05)

"""
LEFT_BEHIND = {
    "a thread": "def test_it():\n    threading.Thread(target=spin, name='spinner').start()\n    assert False\n",
    "a process": "def test_it():\n    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n",
    "a pool that is waited for": (
        "def test_it():\n    with ThreadPoolExecutor(1) as pool:\n        pool.submit(spin).result()\n"
    ),
    "nothing": "def test_it():\n    ThreadPoolExecutor(1).submit(int).result()\n",
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, subprocess.CompletedProcess[str]]:
    """The end of a run of each test, all at the same time because they wait for their timeouts."""
    runs = [partial(run, tmp_path_factory.mktemp("run"), body) for body in LEFT_BEHIND.values()]
    return dict(zip(LEFT_BEHIND, at_once(runs), strict=True))


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
    ("left", "reason"),
    [
        ("a thread", "the tests left behind: thread spinner"),
        ("a process", "time.sleep(600)"),
        ("a pool that is waited for", "test_inner.py::test_it does not end"),
    ],
)
def test_a_test_that_leaves_something_behind_fails_the_run_which_ends(
    ended: dict[str, subprocess.CompletedProcess[str]], left: str, reason: str
) -> None:
    assert ended[left].returncode == 1
    assert reason in ended[left].stderr
    assert "test_inner.py" in ended[left].stderr or left == "a process"


def test_an_idle_thread_of_a_pool_is_nothing_left_behind(ended: dict[str, subprocess.CompletedProcess[str]]) -> None:
    assert (ended["nothing"].returncode, ended["nothing"].stderr) == (0, "")
