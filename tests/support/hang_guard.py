"""
A pytest plugin that lets no test keep the process alive.

pytest-timeout interrupts a test in the main thread. That is not enough if another thread goes on: leaving a thread pool
or the interpreter waits for it without end. So there are three more steps, each with the stacks of all threads:

- A test that is not over at twice its timeout, fixtures included, ends the whole run.
- A run that leaves threads or child processes behind has failed; the children are killed.
- A process that still has not ended some seconds after its run is ended.
"""

import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

GRACE = 5.0
"""Seconds for threads and children to end after the last test; and then again for the process."""
HELPERS = ("resource_tracker", "forkserver")
"""Processes of multiprocessing, which end when this process does."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    with _ended_after(2 * _timeout_of(item) + GRACE, f"{item.nodeid} does not end", item.config):
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _is_worker(session.config):
        return
    deadline = time.monotonic() + GRACE
    while (left := _left_behind()) and time.monotonic() < deadline:
        time.sleep(0.05)
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        _report(f"the tests left behind: {', '.join(left)}", session.config)
        for child in _children():
            os.kill(child, signal.SIGKILL)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    if _is_worker(config):
        return
    timer = threading.Timer(GRACE, _end, ["the process does not end", None])
    timer.daemon = True
    timer.start()


def _is_worker(config: pytest.Config) -> bool:
    """Return whether this is a worker of pytest-xdist, which its controller ends."""
    return hasattr(config, "workerinput")


def _timeout_of(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    given = (marker.args or tuple(marker.kwargs.values())) if marker else ()
    return float(given[0] if given else item.config.getoption("timeout", None) or item.config.getini("timeout") or 300)


@contextmanager
def _ended_after(seconds: float, reason: str, config: pytest.Config) -> Iterator[None]:
    timer = threading.Timer(seconds, _end, [reason, config])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end(reason: str, config: pytest.Config | None) -> None:
    _report(reason, config)
    for child in _children():
        os.kill(child, signal.SIGKILL)
    os._exit(pytest.ExitCode.TESTS_FAILED)


def _report(reason: str, config: pytest.Config | None) -> None:
    capture = config.pluginmanager.getplugin("capturemanager") if config else None
    if capture:
        capture.suspend_global_capture(in_=True)
    sys.stdout.flush()
    sys.stderr.write(f"\nerror: {reason}\n")
    faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
    sys.stderr.flush()


def _left_behind() -> list[str]:
    threads = [f"thread {each.name}" for each in threading.enumerate() if not each.daemon and not _may_stay(each)]
    return threads + [f"process {child} ({_command(child)})" for child in _children()]


def _may_stay(thread: threading.Thread) -> bool:
    """Return whether it is the main thread, or an idle thread of a pool, which the interpreter ends."""
    frame = sys._current_frames().get(thread.ident or 0)
    is_idle = frame is not None and frame.f_code.co_filename.endswith("concurrent/futures/thread.py")
    return thread is threading.main_thread() or is_idle


def _children() -> list[int]:
    tasks = Path("/proc/self/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return [child for child in children if not any(helper in _command(child) for helper in HELPERS)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return "ended"
