"""A real server process, and what the kernel says about its memory."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import httpx2
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
READY_WITHIN = 60.0
STOPPED_WITHIN = 10.0
MIB = 2**20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """This process's environment, with none of its own Likeness settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIKENESS_")}
    return {**inherited, "LIKENESS_DATA_DIR": str(data_dir), **settings}


def pages(pid: int, field: str) -> int:
    """One `Vm...` line of /proc/<pid>/status, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(f"{field}:"))


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return [pid, *(member for child in children for member in family(child))]


class Server:
    """`python -m app serve` on a port and a data directory of its own; a context manager."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.data_dir, self.port = data_dir, free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.log = data_dir.parent / f"{data_dir.name}-{self.port}.log"
        self._settings = {"LIKENESS_HOST": HOST, "LIKENESS_PORT": str(self.port), **settings}

    def launch(self) -> Self:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", "serve"],
                cwd=REPOSITORY,
                env=environment(self.data_dir, **self._settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    def start(self) -> Self:
        self.launch()
        deadline = time.monotonic() + READY_WITHIN
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"the server did not become ready (exit {self.process.poll()}):\n{self.log.read_text()}")
            time.sleep(0.1)
        return self

    def fail_to_start(self) -> tuple[int, str]:
        """Return the exit status and the words of a start that must fail."""
        self.launch()
        try:
            return self.process.wait(READY_WITHIN), self.log.read_text()
        finally:
            self.kill()

    def is_ready(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx2.TransportError:
            return False

    def stop(self) -> None:
        """SIGTERM, as an operator or a container runtime stops it."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"the server still ran {STOPPED_WITHIN:.0f} s after SIGTERM:\n{self.log.read_text()}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(STOPPED_WITHIN)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()

    def resident(self) -> int:
        return sum(pages(pid, "VmRSS") for pid in family(self.process.pid))

    def peak(self) -> int:
        """The most memory held since `forget_peak`, in bytes."""
        return sum(pages(pid, "VmHWM") for pid in family(self.process.pid))

    def forget_peak(self) -> None:
        for pid in family(self.process.pid):
            Path(f"/proc/{pid}/clear_refs").write_text("5")
