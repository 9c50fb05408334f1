"""`docker compose --profile scale up`: PostgreSQL, two replicas, and a balancer that hides the loss of one."""

import json
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from tests.support.api import Api

from .engine import docker, inspect, logs
from .project import Project, wait_until

GALLERY = "astronauts"
PASSWORD = 'it\'s a "password"'  # noqa: S105
Photos = dict[str, bytes]
T = TypeVar("T")


@pytest.fixture(scope="module")
def scale(
    compose: tuple[str, ...],
    cpu_image: str,  # noqa: ARG001
    database_image: str,  # noqa: ARG001
    nginx: Callable[..., list[str]],
) -> Iterator[Project]:
    """A project with a key that is made before it is up, as the documents say."""
    replicas = ("likeness-a", "likeness-b")
    running = Project(
        compose, *nginx("balancer"), profile="scale", services=replicas, LIKENESS_POSTGRES_PASSWORD=PASSWORD
    )
    try:
        yield running
    finally:
        running.down("--volumes")


@pytest.fixture(scope="module")
def api(scale: Project) -> Iterator[Api]:
    made = scale.once("keys", "create", "--scopes", "admin", "--json")
    assert made.returncode == 0, made.stderr
    scale.up()
    with Api.at(scale.url, **{"X-API-Key": json.loads(made.stdout)["key"]}) as client:
        wait_until(lambda: scale.answers(client.http), lambda: logs(scale.container("balancer")))
        yield client


def asked_of_both(scale: Project, ask: Callable[[], T]) -> list[T]:
    """Ask until each replica has answered, and return the answers."""
    answers: list[T] = []
    before = {name: identifications(scale, name) for name in scale.services}

    def is_done() -> bool:
        answers.append(ask())
        return all(identifications(scale, name) > count for name, count in before.items())

    wait_until(is_done, lambda: f"one replica answered none of {len(answers)} requests")
    return answers


def identifications(scale: Project, service: str) -> int:
    return logs(scale.container(service)).count('"route": "/identify"')


def test_what_one_replica_enrols_both_find_and_what_it_erases_neither(scale: Project, api: Api, photos: Photos) -> None:
    assert api.enroll(GALLERY, "collins", photos["collins"]).status_code == 201
    found = asked_of_both(scale, lambda: api.names(photos["collins-again"], GALLERY))
    api.delete(f"/galleries/{GALLERY}/subjects/collins")
    left = asked_of_both(scale, lambda: api.names(photos["collins-again"], GALLERY))
    assert {*map(tuple, found)} == {("collins",)}
    assert {*map(tuple, left)} == {()}


def test_a_key_is_asked_for_and_no_replica_or_database_is_published(scale: Project, api: Api) -> None:
    with Api.at(scale.url) as nobody:
        assert nobody.http.get("/models").status_code == 401
    assert api.http.get("/models").status_code == 200
    for service in (*scale.services, "postgres"):
        assert docker("port", scale.container(service)) == ""


def test_without_one_replica_everything_is_answered(scale: Project, api: Api, photos: Photos) -> None:
    docker("kill", scale.container("likeness-a"))
    answers = [api.verify(photos["collins"], photos["collins-again"]).status_code for _ in range(6)]
    docker("start", scale.container("likeness-a"))
    assert answers == [200] * 6


def test_the_gallery_outlives_its_containers(scale: Project, api: Api, photos: Photos) -> None:
    assert api.enroll(GALLERY, "hopper", photos["hopper"]).status_code == 201
    scale.down()
    scale.up()
    wait_until(lambda: scale.answers(api.http), lambda: logs(scale.container("balancer")))
    assert api.names(photos["hopper"], GALLERY) == ["hopper"]
    assert inspect(scale.container("postgres"), ".Config.User") == "postgres"
