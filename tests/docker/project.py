"""The profile `cpu` of the compose files, as a separate project on a free port."""

import subprocess
import time
from collections.abc import Sequence

import pytest

from tests.support.server import free_port

from .engine import docker, inspect, run, succeed

SERVICE = "likeness-cpu"
HEALTHY_WITHIN = 60.0


def wait_until_healthy(container: str) -> None:
    deadline = time.monotonic() + HEALTHY_WITHIN
    while inspect(container, ".State.Health.Status") != "healthy":
        if time.monotonic() > deadline:
            pytest.fail(f"not healthy in {HEALTHY_WITHIN:.0f} s:\n{docker('logs', container)}")
        time.sleep(0.5)


class Project:
    def __init__(self, command: Sequence[str], *added: str, **environment: str) -> None:
        """`added`: compose files beside docker-compose.yml."""
        port = free_port()
        self.name = f"likeness-test-{port}"
        self.url = f"http://127.0.0.1:{port}"
        files = [f"--file={file}" for file in ("docker-compose.yml", *added)]
        self._command = [*command, *files, "--project-name", self.name, "--profile", "cpu"]
        self._environment = {"LIKENESS_PUBLISH_PORT": str(port), **environment}

    def compose(self, *arguments: str) -> str:
        return succeed([*self._command, *arguments], **self._environment)

    def once(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `likeness` with these arguments in a new container, on the volume of the project."""
        return run([*self._command, "run", "--rm", "-T", SERVICE, *arguments], **self._environment)

    def up(self) -> None:
        self.compose("up", "--detach", "--no-build")
        wait_until_healthy(self.container())

    def container(self, service: str = SERVICE) -> str:
        labels = {"project": self.name, "service": service}
        filters = [f"--filter=label=com.docker.compose.{name}={value}" for name, value in labels.items()]
        return docker("ps", "--all", "--quiet", *filters)

    def stop(self) -> float:
        """Stop it, and return the seconds that it took."""
        began = time.monotonic()
        self.compose("stop")
        return time.monotonic() - began

    def exit_code(self) -> int:
        return int(inspect(self.container(), ".State.ExitCode"))

    def down(self, *options: str) -> None:
        self.compose("down", *options)
