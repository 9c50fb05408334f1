"""Several processes on one port: started, replaced and stopped together, and none of them left behind."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support.background import submit
from tests.support.server import REPOSITORY, free_port
from tests.unit.server.listening import HOST

PATIENCE = 60.0  # the machine may be busy


class Staff:
    """A supervisor of two workers, as a process; a context manager."""

    def __init__(self, folder: Path, how: str = "well") -> None:
        self.port, self.folder, self.log = free_port(), folder / "started", folder / "log"
        self.temporary = folder / "tmp"
        self.folder.mkdir()
        self.temporary.mkdir()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.unit.server.staffed", how, str(self.port), str(self.folder)],
                cwd=REPOSITORY,
                env=os.environ | {"TMPDIR": str(self.temporary)},
                stdout=log,
                stderr=log,
            )

    def started(self) -> set[int]:
        return {int(each.name) for each in self.folder.iterdir()}

    def ask(self, path: str = "/") -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{HOST}:{self.port}{path}", timeout=PATIENCE) as answer:
            return dict(json.load(answer))

    def listens(self) -> bool:
        try:
            self.ask()
        except OSError:
            return False
        return True

    def wait_until_asked(self, path: str, times: int = 1) -> None:
        assert until(lambda: self.log.read_text().count(f"asked for {path}") == times), self.log.read_text()

    def answering(self) -> set[int]:
        return {self.ask()["worker"] for _ in range(20)}

    def end(self, number: signal.Signals) -> float:
        """The seconds from that signal to its end."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(PATIENCE)
        return time.monotonic() - began

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        try:
            assert until(lambda: not any(map(is_alive, self.started()))), self.log.read_text()
        finally:
            for pid in filter(is_alive, self.started()):
                os.kill(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Not even as a zombie, whose parent may be slow to look."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return held


@pytest.fixture
def staff(tmp_path: Path) -> Iterator[Staff]:
    with Staff(tmp_path) as running:
        assert until(lambda: running.listens() and len(running.answering()) == 2), running.log.read_text()
        yield running


@pytest.mark.parametrize("how", ["refused", "unstartable", "dead"])
def test_where_none_can_start_all_end_and_none_is_tried_again(tmp_path: Path, how: str) -> None:
    with Staff(tmp_path, how) as broken:
        status = broken.process.wait(PATIENCE)

        assert status == 1
        assert ("no model in here" in broken.log.read_text()) == (how == "refused")
        assert broken.log.read_text().splitlines()[-1].startswith("a worker could not start")
        assert len(broken.started()) <= 2
        assert not broken.listens()


def test_one_that_cannot_start_is_tried_again_while_the_other_serves(tmp_path: Path) -> None:
    with Staff(tmp_path, "others fail") as staff:
        assert until(staff.listens)
        (serving,) = staff.answering()

        assert until(lambda: len(staff.started()) > 5), staff.log.read_text()
        assert staff.answering() == {serving}
        assert until(lambda: "the next start is in 0.08 s" in staff.log.read_text()), staff.log.read_text()
        staff.end(signal.SIGTERM)
        assert staff.process.returncode == 0


def test_a_second_death_while_starting_leaves_the_healthy_one_and_is_mended(tmp_path: Path) -> None:
    with Staff(tmp_path, "slow replacements") as staff:
        assert until(lambda: staff.listens() and len(staff.answering()) == 2)
        lost, kept = sorted(staff.started())
        os.kill(lost, signal.SIGKILL)
        assert until(lambda: len(staff.started()) == 3), staff.log.read_text()
        (second,) = staff.started() - {lost, kept}
        os.kill(second, signal.SIGKILL)

        assert until(lambda: f"worker {second} ended (-9) before it accepted requests" in staff.log.read_text())
        assert staff.answering() == {kept}
        assert until(lambda: len(staff.answering()) == 2), staff.log.read_text()


def test_where_none_serves_any_more_and_no_start_succeeds_all_end(tmp_path: Path) -> None:
    with Staff(tmp_path, "all fail later") as staff:
        assert until(lambda: staff.listens() and len(staff.answering()) == 2)
        for worker in staff.started():
            os.kill(worker, signal.SIGKILL)

        assert staff.process.wait(PATIENCE) == 1
        assert staff.log.read_text().splitlines()[-1].startswith("a worker could not start")


def test_a_hangup_replaces_them_in_turn_and_no_request_is_lost(staff: Staff) -> None:
    old, over = staff.started(), threading.Event()
    clients = [submit(requests_until, staff.port, over, path) for path in ("/", "/", "/slow")]
    try:
        staff.process.send_signal(signal.SIGHUP)
        assert until(lambda: not any(map(is_alive, old)) and len(staff.answering()) == 2), staff.log.read_text()
    finally:
        over.set()
    answered = [client.result(PATIENCE) for client in clients]

    assert staff.answering().isdisjoint(old)
    assert len(staff.started()) == 4
    assert {status for statuses in answered for status in statuses} == {200}
    assert min(len(statuses) for statuses in answered) > 1


def requests_until(port: int, over: threading.Event, path: str) -> list[int]:
    """Send request after request, over one connection as long as the answers allow it; return the statuses."""
    statuses, connection = [], http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
    while not over.is_set():
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    return statuses


def test_one_that_is_killed_is_replaced_and_that_is_logged(staff: Staff) -> None:
    lost = min(staff.started())
    os.kill(lost, signal.SIGKILL)

    assert until(lambda: len(staff.started()) == 3), staff.log.read_text()
    assert until(lambda: staff.answering() == staff.started() - {lost})
    assert f"worker {lost} ended (-9); starting another" in staff.log.read_text()


def test_what_is_under_way_is_answered_before_the_end(staff: Staff) -> None:
    slow = [submit(staff.ask, "/slow") for _ in range(4)]
    staff.wait_until_asked("/slow", times=4)
    took = staff.end(signal.SIGTERM)

    assert [each.result(PATIENCE)["path"] for each in slow] == ["/slow"] * 4
    assert took < 10
    assert staff.process.returncode == 0


def test_a_signal_to_every_process_is_one_signal(staff: Staff) -> None:
    """systemd and a terminal send a signal to the whole group."""
    slow = submit(staff.ask, "/slow")
    staff.wait_until_asked("/slow")
    for number in (signal.SIGINT, signal.SIGTERM):
        for worker in staff.started():
            os.kill(worker, number)
    staff.end(signal.SIGTERM)

    assert slow.result(PATIENCE)["path"] == "/slow"


def test_a_second_signal_ends_them_whatever_is_under_way(staff: Staff) -> None:
    held = submit(staff.ask, "/held")
    staff.wait_until_asked("/held")
    staff.process.send_signal(signal.SIGTERM)
    time.sleep(0.4)
    still_there = staff.process.poll() is None
    took = staff.end(signal.SIGTERM)

    assert still_there
    assert took < 6  # where the workers alone would wait for eight
    assert held.exception(PATIENCE) is not None


def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    with Staff(tmp_path, "impatient") as staff:
        assert until(staff.listens)
        stuck = submit(staff.ask, "/stuck")
        staff.wait_until_asked("/stuck")

        assert 1 <= staff.end(signal.SIGTERM) < 15  # of the 30 that it would take
        assert stuck.exception(PATIENCE) is not None


def test_one_whose_loop_stands_still_is_replaced(tmp_path: Path) -> None:
    with Staff(tmp_path, "attentive") as staff:
        assert until(lambda: staff.listens() and len(staff.answering()) == 2)
        stuck = submit(staff.ask, "/stuck")

        assert until(lambda: len(staff.started()) == 3), staff.log.read_text()
        assert "does not respond; killing it" in staff.log.read_text()
        assert stuck.exception(PATIENCE) is not None


def test_workers_whose_supervisor_was_killed_end(staff: Staff) -> None:
    staff.end(signal.SIGKILL)

    assert until(lambda: not any(map(is_alive, staff.started())))
    assert not staff.listens()
    assert list(staff.temporary.iterdir()) == []
