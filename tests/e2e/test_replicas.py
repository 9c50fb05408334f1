"""Two server processes over one PostgreSQL database are one service, which outlives the loss of the database."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.answers import answered, problem
from tests.support.api import Api, subject_path
from tests.support.clock import unhurried
from tests.support.commands import encryption_key, eventually, ran, refused
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN
from tests.support.postgres import PostgresServer, running_server
from tests.support.server import Server


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_server() as server:
        yield server


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    with postgres.database() as url:
        yield url


@pytest.fixture
def encrypted(database: str) -> dict[str, str]:
    """Settings of replicas."""
    return {"LIKENESS_DATABASE": database, "LIKENESS_ENCRYPTION_KEY": encryption_key()}


@pytest.fixture
def pair(tmp_path: Path, encrypted: dict[str, str]) -> Iterator[tuple[Api, Api]]:
    with (
        Server(tmp_path / "one", **encrypted) as first,
        Server(tmp_path / "two", **encrypted) as second,
        Api.of(first) as one,
        Api.of(second) as two,
    ):
        yield one, two


def test_both_answer_from_the_same_galleries(pair: tuple[Api, Api]) -> None:
    one, two = pair
    enrolled = answered(one.enroll("staff", "hopper", HOPPER, key="once"), 201)
    assert two.names(HOPPER_AGAIN, "staff") == ["hopper"]
    assert answered(two.enroll("staff", "hopper", HOPPER, key="once"), 201) == enrolled
    answered(two.enroll("staff", "collins", COLLINS), 201)
    assert one.names(COLLINS, "staff") == ["collins"]
    assert one.http.delete(subject_path("staff", "hopper")).status_code == 204
    assert two.names(HOPPER_AGAIN, "staff") == []
    problem(two.http.get(subject_path("staff", "hopper")), 404, "not_found")


def test_readyz_and_a_metric_tell_how_far_behind_a_replica_is(pair: tuple[Api, Api]) -> None:
    one, two = pair
    answered(one.enroll("staff", "hopper", HOPPER), 201)
    assert eventually(lambda: two.http.get("/readyz").status_code == 200)  # it has just begun to follow
    ready = answered(two.http.get("/readyz"))
    metrics = two.http.get("/metrics").text
    (line,) = (line for line in metrics.splitlines() if line.startswith("likeness_replica_lag_seconds "))

    assert ready.keys() == {"status", "erasures_pending", "replica_lag_seconds"}
    assert 0 <= ready["replica_lag_seconds"] < 5
    assert 0 <= float(line.split()[1]) < 5


def test_without_the_database_they_answer_503_and_recover_by_themselves(
    pair: tuple[Api, Api], postgres: PostgresServer
) -> None:
    one, two = pair
    answered(one.enroll("staff", "hopper", HOPPER), 201)
    postgres.stop()
    for each in (one, two):
        problem(each.http.get("/readyz"), 503, "storage_unavailable")
        assert each.http.get("/healthz").status_code == 200
    started = unhurried()
    refused = one.identify(HOPPER_AGAIN, gallery="staff")
    assert refused.status_code == 503
    assert unhurried() - started < 60  # it does not wait for the request's deadline
    postgres.start()

    assert eventually(lambda: all(each.http.get("/readyz").status_code == 200 for each in pair), within=30)
    assert two.names(HOPPER_AGAIN, "staff") == ["hopper"]


def test_a_key_made_by_the_command_closes_both(
    tmp_path: Path, encrypted: dict[str, str], pair: tuple[Api, Api]
) -> None:
    one, _ = pair
    answered(one.enroll("staff", "hopper", HOPPER), 201)
    key = ran(tmp_path / "cli", "keys", "create", "--scopes", "admin", **encrypted).strip()
    entries = json.loads(ran(tmp_path / "cli", "audit", "list", "--json", **encrypted))["entries"]

    for each in pair:
        assert eventually(lambda api=each: api.http.get("/galleries").status_code == 401)  # type: ignore[misc]
        assert each.http.get("/galleries", headers={"X-API-Key": key}).status_code == 200
    assert [entry["action"] for entry in entries if entry["action"] in ("face.enroll", "key.create")] == [
        "face.enroll",
        "key.create",
    ]
    assert json.loads(ran(tmp_path / "cli", "audit", "verify", "--json", **encrypted))["ok"]


def test_a_gallery_in_sqlite_moves_to_postgresql(tmp_path: Path, encrypted: dict[str, str]) -> None:
    key, address = encrypted["LIKENESS_ENCRYPTION_KEY"], encrypted["LIKENESS_DATABASE"]
    with Server(tmp_path / "old", LIKENESS_ENCRYPTION_KEY=key) as server, Api.of(server) as api:
        answered(api.enroll("staff", "hopper", HOPPER), 201)
    moved = ran(tmp_path / "old", "migrate", "--from", "sqlite", "--to", address, "--json", LIKENESS_ENCRYPTION_KEY=key)
    with Server(tmp_path / "new", **encrypted) as server, Api.of(server) as api:
        assert api.names(HOPPER_AGAIN, "staff") == ["hopper"]
    again = refused(tmp_path / "old", "migrate", "--to", address, LIKENESS_ENCRYPTION_KEY=key)

    assert json.loads(moved)["ok"]
    assert "expected an empty database" in again
