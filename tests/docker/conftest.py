"""Images are built and run. The tests are collected only if this folder is named, as `make docker-test` does."""

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.api import Api
from tests.support.server import REPOSITORY

from .engine import COMPOSE_COMMANDS, answers, build, docker, stand_in_for_nginx
from .project import Project, wait_until_healthy

USER = 10001
GPU_IMAGE = "LIKENESS_TEST_GPU_IMAGE"


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    named = any("tests/docker" in argument for argument in config.invocation_params.args)
    return None if named else True


@pytest.fixture(scope="session", autouse=True)
def daemon() -> None:
    if not answers("docker", "info"):
        pytest.skip("no Docker daemon answers, so nothing can be built or run")


@pytest.fixture(scope="session")
def cpu_image() -> str:
    return build("cpu")


@pytest.fixture(scope="session")
def database_image() -> str:
    return build("database")


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    """
    A function that returns the compose files which are needed so that the service can run nginx.

    Where the pinned image cannot be had, that is one which runs Debian's nginx instead.
    """
    stand_in = stand_in_for_nginx()

    def files(service: str) -> list[str]:
        if stand_in is None:
            return []
        file = tmp_path_factory.mktemp("nginx") / "compose.yml"
        file.write_text(json.dumps({"services": {service: {"image": stand_in}}}))
        return [str(file)]

    return files


@pytest.fixture(scope="session")
def gpu_image() -> str:
    if not os.environ.get(GPU_IMAGE):
        pytest.skip(f"the GPU image is 3 GB, of which most is fetched: set {GPU_IMAGE}=1 to build and test it")
    return build("gpu")


@pytest.fixture(scope="session", params=COMPOSE_COMMANDS)
def compose(request: pytest.FixtureRequest) -> tuple[str, ...]:
    command = COMPOSE_COMMANDS[request.param]
    if not answers(*command, "version"):
        pytest.skip(f"no {' '.join(command)} here")
    return command


@pytest.fixture(scope="session")
def project(compose: tuple[str, ...], cpu_image: str) -> Iterator[Project]:  # noqa: ARG001
    """One project for all tests that leave it running."""
    running = Project(compose, LIKENESS_MAX_FACES="7", LIKENESS_MEMORY_LIMIT="2g", LIKENESS_LIVENESS="on")
    try:
        running.up()
        yield running
    finally:
        running.down("--volumes")


@pytest.fixture
def published_elsewhere(compose: tuple[str, ...], cpu_image: str) -> Iterator[Project]:  # noqa: ARG001
    """A project that is published on all addresses, and not up yet."""
    prepared = Project(compose, LIKENESS_PUBLISH="0.0.0.0")  # noqa: S104
    yield prepared
    prepared.down("--volumes")


@pytest.fixture
def encryption_key(tmp_path: Path) -> Path:
    """A file that only the user of the container may read."""
    file = tmp_path / "encryption-key"
    file.write_text(base64.b64encode(os.urandom(32)).decode())
    file.chmod(0o400)
    os.chown(file, USER, USER)
    return file


@pytest.fixture
def encrypted(compose: tuple[str, ...], cpu_image: str, encryption_key: Path) -> Iterator[Project]:  # noqa: ARG001
    """A project whose gallery is encrypted, and not up yet."""
    prepared = Project(compose, "docker/compose.encryption.yml", LIKENESS_ENCRYPTION_KEY_FILE=str(encryption_key))
    yield prepared
    prepared.down("--volumes")


@pytest.fixture
def api(project: Project) -> Iterator[Api]:
    with Api.at(project.url) as client:
        yield client


@pytest.fixture
def start(cpu_image: str) -> Iterator[Callable[..., str]]:
    """A function that starts a container of the cpu image and waits until it is healthy."""
    started: list[str] = []

    def healthy(*options: str) -> str:
        started.append(docker("run", "--detach", "--read-only", "--tmpfs", "/tmp", *options, cpu_image))  # noqa: S108
        wait_until_healthy(started[-1])
        return started[-1]

    yield healthy
    for container in started:
        docker("rm", "--force", "--volumes", container)


@pytest.fixture(scope="session")
def photos() -> dict[str, bytes]:
    """Photos by file name, without `.jpg`; all of them are in the public domain."""
    folder: Path = REPOSITORY / "docs" / "images"
    return {name: (folder / f"{name}.jpg").read_bytes() for name in ("collins", "collins-again", "hopper")}
