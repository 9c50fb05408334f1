"""
After a kill at any moment all that was acknowledged is there, nothing is there by half, and nothing erased comes back.

LIKENESS_PROOF_KILLS says how often each kind of service is killed.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx2
import pytest

from app.audit.log import AuditLog
from tests.support.answers import answered
from tests.support.api import Api
from tests.support.background import submit
from tests.support.commands import eventually
from tests.support.lengths import SEED, length, report
from tests.support.postgres import PostgresServer, running_server

from .gallery_changes import OPERATIONS
from .killing import PATIENCE, Service, killed
from .model_client import Client, Unanswered
from .residues import Residues

KILLS = int(os.environ.get("LIKENESS_PROOF_KILLS", length(2, 50)))
CLIENTS = 4
MOST_CHANGES = 30
"""Acknowledged before a kill."""
LONGEST_PAUSE = 0.05
"""Seconds between the last of them and the kill: a change takes less."""
LOOKS = 3
"""Faces of a client that are searched after a kill, and as many that were erased."""
OTHER_FACE = 0.5
"""A squared distance below which a random vector is no other's; thresholds are at 1.3, where a few strangers match."""
COMMANDS_EVERY = 10
"""Kills after which the commands check the gallery, too."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server of its own, which may be killed."""
    with running_server() as server:
        yield server


@pytest.mark.timeout(600 + 60 * KILLS)
@pytest.mark.parametrize("kind", ["sqlite", "encrypted sqlite", "postgresql", "database server"])
def test_a_kill_loses_nothing_that_was_acknowledged_and_halves_nothing(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    random = Random(f"{SEED} crashes {kind}")  # noqa: S311
    postgres = None if "sqlite" in kind else request.getfixturevalue("postgres")
    residues = Residues(tmp_path / "data", encrypted="encrypted" in kind) if postgres is None else None
    with killed(kind, tmp_path, random, postgres) as service:
        clients = [
            Client(number, service.model, Random(random.random()), service.re_embed)  # noqa: S311
            for number in range(CLIENTS)
        ]
        for number in range(KILLS):
            with changing(service, clients):
                wait_for(clients, random.randrange(MOST_CHANGES))
                time.sleep(random.uniform(0, LONGEST_PAUSE))
                service.kill()
            service.recover()
            assert eventually(service.is_settled, within=PATIENCE)
            judge_stored(service, clients)
            if residues:
                residues.check(clients)
            judge_served(service, clients)
            if number % COMMANDS_EVERY == COMMANDS_EVERY - 1:
                service.check()
        service.check()
        tell(kind, clients)


@contextmanager
def changing(service: Service, clients: Sequence[Client]) -> Iterator[None]:
    """Let each client make changes until one is not answered, or the block ends."""

    def work(client: Client, over: threading.Event) -> None:
        with Api.of(service.server) as api:
            try:
                while not over.is_set():
                    client.act(api, OPERATIONS)
            except (httpx2.TransportError, Unanswered):
                return

    over = threading.Event()
    running = [submit(work, client, over) for client in clients]
    try:
        yield
    finally:
        over.set()
    for future in running:
        future.result(PATIENCE)


def wait_for(clients: Sequence[Client], changes: int) -> None:
    """Wait until so many further changes are acknowledged."""
    before = acknowledged(clients).total()
    assert eventually(lambda: acknowledged(clients).total() >= before + changes, within=PATIENCE)


def acknowledged(clients: Sequence[Client]) -> Counter[str]:
    return sum((client.tally.acknowledged.copy() for client in clients), Counter())


def judge_stored(service: Service, clients: Sequence[Client]) -> None:
    """Check that what is stored is intact, and one of the states that are possible."""
    with service.repository() as repository:
        assert repository.check_integrity() == []
        assert AuditLog(repository.database).verify().fault is None
        for client in clients:
            client.accept(client.read_state(repository))


def judge_served(service: Service, clients: Sequence[Client]) -> None:
    """Finish what was not answered where that may be repeated, and check what is served."""
    with Api.of(service.server) as api:
        for client in clients:
            client.finish(api)
            check_search(api, client)
    with service.repository() as repository:
        assert [client.read_state(repository) for client in clients] == [client.state for client in clients]


def check_search(api: Api, client: Client) -> None:
    """Each of a few faces is found where it is, and of those that were erased none."""
    owners = {face: name for name, person in client.state.items() for face in person.faces}
    erased = sorted(set(range(len(client.vectors))) - owners.keys())
    for faces in (sorted(owners), erased):
        for face in client.random.sample(faces, min(LOOKS, len(faces))):
            body = {"embedding": client.vectors[face].tolist(), "model": client.model, "gallery": client.gallery}
            answer = api.http.post("/identify", json=body)
            if answer.status_code == 404 and not client.state:  # its gallery is deleted
                continue
            (looked,) = answered(answer)["faces"]
            near = [each["subject_id"] for each in looked["candidates"][:1] if each["distance"] < OTHER_FACE]
            assert near == ([owners[face]] if face in owners else [])


def tell(kind: str, clients: Sequence[Client]) -> None:
    made = acknowledged(clients)
    interrupted = sum((client.tally.interrupted for client in clients), Counter[str]())
    report(f"\n{kind}, {KILLS} kills: {made.total()} acknowledged, {dict(sorted(made.items()))}")
    report(f"{interrupted.total()} interrupted, {dict(sorted(interrupted.items()))}")
    assert made.total() > 5 * KILLS
    assert interrupted.total() > KILLS
