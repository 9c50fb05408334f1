"""An image with extras that the ordinary one does not have: Milvus's client and OpenTelemetry."""

from collections.abc import Iterator

import pytest

from tests.support.api import Api
from tests.support.milvus import running_milvus
from tests.support.server import free_port

from .engine import build, docker
from .project import wait_until_healthy


@pytest.fixture
def api() -> Iterator[Api]:
    """Return a container that searches in a Milvus of this machine, and sends its traces to nobody."""
    port = free_port()
    settings = {"LIKENESS_HOST": "127.0.0.1", "LIKENESS_PORT": port, "LIKENESS_TRACING": "true"}
    image = build("cpu", "extras", "--build-arg", "EXTRAS=milvus,otel")
    with running_milvus() as milvus:
        settings["LIKENESS_SEARCH"] = f"milvus://127.0.0.1:{milvus.port}"
        options = [f"--env={name}={value}" for name, value in settings.items()]
        container = docker("run", "--detach", "--read-only", "--tmpfs=/tmp", "--network=host", *options, image)
        try:
            wait_until_healthy(container)
            with Api.at(f"http://127.0.0.1:{port}") as client:
                yield client
        finally:
            docker("rm", "--force", "--volumes", container)


def test_it_finds_a_face_in_milvus(api: Api, photos: dict[str, bytes]) -> None:
    assert api.enroll("astronauts", "collins", photos["collins"]).status_code == 201
    assert api.names(photos["collins-again"], "astronauts") == ["collins"]
    assert api.names(photos["hopper"], "astronauts") == []
