"""A server process, what it writes, and the resources that it uses."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

REPOSITORY = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
READY_WITHIN = 60.0
STOPPED_WITHIN = 10.0
MIB = 2**20
SERVE = (sys.executable, "-m", "app", "serve")


class ServerFailed(Exception):
    """The server did not start, did not stop, or gave an unexpected answer."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """Return this process's environment without its own Likeness settings, and with these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIKENESS_")}
    return {**inherited, "LIKENESS_DATA_DIR": str(data_dir), **settings}


def pages(pid: int, field: str) -> int:
    """Return one `Vm...` line of /proc/<pid>/status in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(f"{field}:"))


def family(pid: int) -> list[int]:
    """Return the process and all its descendants."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return [pid, *(member for child in children for member in family(child))]


class Server:
    """`python -m app serve`, or another command, on a free port and with its own data directory; a context manager."""

    def __init__(self, data_dir: Path, *, command: Sequence[str] = SERVE, **settings: str) -> None:
        self.data_dir, self.port = data_dir, free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.log = data_dir.parent / f"{data_dir.name}-{self.port}.log"
        self._command = command
        self._settings = {"LIKENESS_HOST": HOST, "LIKENESS_PORT": str(self.port), **settings}

    def launch(self) -> Self:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=REPOSITORY,
                env=environment(self.data_dir, **self._settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    def start(self) -> Self:
        """Launch it and wait until it is ready. Raises ServerFailed."""
        self.launch()
        deadline = time.monotonic() + READY_WITHIN
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise ServerFailed(f"not ready (exit {self.process.poll()}):\n{self.log.read_text()}")
            time.sleep(0.01)
        return self

    def is_ready(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """Stop it by SIGTERM, as an operator or a container runtime does. Raises ServerFailed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailed(f"still ran {STOPPED_WITHIN:.0f} s after SIGTERM:\n{self.log.read_text()}") from None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(STOPPED_WITHIN)

    def fail_to_start(self) -> tuple[int, str]:
        """Launch it, and return the exit status and the words of a start that must fail."""
        self.launch()
        try:
            return self.process.wait(READY_WITHIN), self.log.read_text().strip()
        finally:
            self.kill()

    def refused(self) -> str:
        """Return the words of a start that must fail with exit status 2."""
        status, words = self.fail_to_start()
        assert status == 2
        assert "Traceback" not in words
        return words

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()

    def resident(self) -> int:
        return sum(pages(pid, "VmRSS") for pid in family(self.process.pid))

    def peak(self) -> int:
        """Return the most memory held since `forget_peak`, in bytes."""
        return sum(pages(pid, "VmHWM") for pid in family(self.process.pid))

    def forget_peak(self) -> None:
        for pid in family(self.process.pid):
            Path(f"/proc/{pid}/clear_refs").write_text("5")
