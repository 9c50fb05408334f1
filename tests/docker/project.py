"""A profile of the compose files, as a separate project on a free port."""

import subprocess
import time
from collections.abc import Callable, Sequence

import httpx2
import pytest

from tests.support.server import free_port

from .engine import docker, inspect, logs, run, succeed

SERVICE = "likeness-cpu"
HEALTHY_WITHIN = 60.0


def wait_until(holds: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + HEALTHY_WITHIN
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"not healthy in {HEALTHY_WITHIN:.0f} s:\n{what()}")
        time.sleep(0.5)


def wait_until_healthy(container: str) -> None:
    wait_until(lambda: inspect(container, ".State.Health.Status") == "healthy", lambda: logs(container))


class Project:
    def __init__(
        self,
        command: Sequence[str],
        *added: str,
        profile: str = "cpu",
        services: Sequence[str] = (SERVICE,),
        **environment: str,
    ) -> None:
        """`added`: compose files beside docker-compose.yml. `services`: those of the profile that are Likeness."""
        port = free_port()
        self.name = f"likeness-test-{port}"
        self.url = f"http://127.0.0.1:{port}"
        self.services = services
        files = [f"--file={file}" for file in ("docker-compose.yml", *added)]
        self._command = [*command, *files, "--project-name", self.name, "--profile", profile]
        self._environment = {"LIKENESS_PUBLISH_PORT": str(port), **environment}

    def compose(self, *arguments: str) -> str:
        return succeed([*self._command, *arguments], **self._environment)

    def once(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `likeness` with these arguments in a new container, on the volume of the project."""
        return run([*self._command, "run", "--rm", "-T", self.services[0], *arguments], **self._environment)

    def up(self) -> None:
        self.compose("up", "--detach", "--no-build")
        for service in self.services:
            wait_until_healthy(self.container(service))

    def answers(self, client: httpx2.Client) -> bool:
        try:
            return client.get("/healthz").status_code == 200
        except httpx2.TransportError:
            return False

    def container(self, service: str | None = None) -> str:
        labels = {"project": self.name, "service": service or self.services[0]}
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
