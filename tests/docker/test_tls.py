"""docker/compose.tls.yml: nginx terminates TLS, and its word alone says whose request it is."""

import json
import os
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.api import Api
from tests.support.server import HOST, free_port
from tests.unit.deployment.nginx import write_certificate

from .engine import inspect, logs
from .project import Project, wait_until

FORGED = "203.0.113.9"
NGINX_USER = 101
Photos = dict[str, bytes]


class Behind:
    """A project behind TLS, with a client that has a key."""

    def __init__(self, project: Project, url: str, context: ssl.SSLContext, key: str) -> None:
        self.project = project
        self.http = httpx2.Client(base_url=url, verify=context, headers={"X-API-Key": key}, timeout=60)

    def logged(self, request_id: str) -> dict[str, Any]:
        """Return the line of the service's log about this request; it is written after the answer."""
        found: list[dict[str, Any]] = []

        def is_logged() -> bool:
            lines = logs(self.project.container()).splitlines()
            found.extend(json.loads(line) for line in lines if request_id in line and '"answered"' in line)
            return bool(found)

        wait_until(is_logged, lambda: f"no line about {request_id}")
        return found[0]


@pytest.fixture(scope="module")
def behind(
    compose: tuple[str, ...],
    cpu_image: str,  # noqa: ARG001
    nginx: Callable[..., list[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Behind]:
    folder, port = tmp_path_factory.mktemp("tls"), free_port()
    certificate(folder)
    project = Project(
        compose,
        "docker/compose.tls.yml",
        *nginx("tls"),
        LIKENESS_TLS_DIR=str(folder),
        LIKENESS_TLS_PORT=str(port),
        LIKENESS_AUTH="on",
    )
    try:
        made = project.once("keys", "create", "--scopes", "admin", "--json")
        assert made.returncode == 0, made.stderr
        project.up()
        context = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))
        yours = Behind(project, f"https://{HOST}:{port}", context, json.loads(made.stdout)["key"])
        with yours.http:
            wait_until(lambda: project.answers(yours.http), lambda: logs(project.container("tls")))
            yield yours
    finally:
        project.down("--volumes")


def certificate(folder: Path) -> None:
    """Write a certificate that only the user of nginx may read."""
    write_certificate(folder)
    for path in (folder, *folder.iterdir()):
        os.chown(path, NGINX_USER, NGINX_USER)
        path.chmod(0o700 if path.is_dir() else 0o400)
    folder.parent.chmod(0o755)


def test_photos_are_verified_over_tls_with_a_key_and_not_without(behind: Behind, photos: Photos) -> None:
    answer = Api(behind.http).verify(photos["collins"], photos["collins-again"])
    assert answer.json()["match"] is True
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert behind.http.get("/models", headers={"X-API-Key": "wrong"}).status_code == 401


def test_the_log_has_the_address_that_the_proxy_saw_and_no_forged_one(behind: Behind) -> None:
    refused = behind.http.get("/models", headers={"X-API-Key": "", "X-Forwarded-For": FORGED})
    (network,) = json.loads(inspect(behind.project.container("tls"), "json .NetworkSettings.Networks")).values()
    assert refused.status_code == 401
    assert behind.logged(refused.headers["X-Request-ID"])["caller"] == f"address:{network['Gateway']}"


def test_who_asks_past_the_proxy_is_not_believed(behind: Behind) -> None:
    refused = httpx2.get(f"{behind.project.url}/models", headers={"X-Forwarded-For": FORGED})
    assert refused.status_code == 401
    assert behind.logged(refused.headers["X-Request-ID"])["caller"] != f"address:{FORGED}"
