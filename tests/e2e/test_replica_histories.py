"""Three replicas over one PostgreSQL server answer random requests as one service would, one request after another."""

import base64
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from statistics import median

import httpx2
import pytest

from app.gallery.export_lines import FORMAT
from tests.support.answers import answered
from tests.support.api import Api, subject_path
from tests.support.background import map_in_threads
from tests.support.commands import encryption_key, eventually
from tests.support.linearizable import Operation, is_linearizable
from tests.support.postgres import running_server
from tests.support.server import Server
from tests.support.templates import unit

GALLERY = "staff"
FACES = range(4)
NOBODY = ""
STRICT = 0.001  # a squared distance that only the same vector has
CLIENTS, ROUNDS = 4, 40


class Replica:
    """A client of one replica. Each method returns whom a face belongs to afterwards, and whom it may have before."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._model = answered(api.http.get("/models"))["models"][0]["digest"]

    def owner(self, face: int) -> str:
        body = {"embedding": unit(face, 128).tolist(), "model": self._model, "gallery": GALLERY, "threshold": STRICT}
        (found,) = answered(self.api.http.post("/identify", json=body))["faces"]
        return str(found["candidates"][0]["subject_id"]) if found["candidates"] else NOBODY

    def add(self, face: int, name: str) -> str:
        """Import the face for the subject and return what became of the line."""
        vector = base64.b64encode(unit(face, 128).tobytes()).decode()
        enrolled = {"face_id": f"{face}", "vector": vector, "enrolled_at": "2026-01-02T03:04:05Z"}
        lines = [
            {"format": FORMAT, "gallery": GALLERY, "model": self._model},
            {"subject_id": name, "metadata": {}, "faces": [enrolled]},
        ]
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        answer = self.api.http.post(f"/galleries/{GALLERY}/import", content=body)
        assert answer.status_code == 200, answer.text
        return str(json.loads(answer.text.splitlines()[1])["status"])

    def rename(self, name: str, new_name: str) -> bool:
        return _is_done(self.api.http.patch(subject_path(GALLERY, name), json={"id": new_name}))

    def delete(self, name: str) -> bool:
        return _is_done(self.api.http.delete(subject_path(GALLERY, name)))


def _is_done(answer: httpx2.Response) -> bool:
    """Return whether the subject was there."""
    assert answer.status_code in {200, 202, 204, 404}, answer.text
    return answer.status_code != 404


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Replica]]:
    with running_server() as postgres, postgres.database() as url, ExitStack() as opened:
        settings = {"LIKENESS_DATABASE": url, "LIKENESS_ENCRYPTION_KEY": encryption_key(), "LIKENESS_RATE_LIMIT": "0"}
        started = [Server(tmp_path_factory.mktemp("replica") / "data", **settings) for _ in range(3)]
        apis = [opened.enter_context(Api.of(opened.enter_context(server))) for server in started]
        apis[0].create(GALLERY)
        yield [Replica(api) for api in apis]


Outcome = tuple[str | None, set[str]]
"""The owner that an operation leaves, or None if it changes nothing, and the owners that it may have seen."""


def look(replica: Replica, face: int, names: Sequence[str]) -> Outcome:
    del names
    return None, {replica.owner(face)}


def add(replica: Replica, face: int, names: Sequence[str]) -> Outcome:
    name, other = names
    outcomes: dict[str, Outcome] = {
        "created": (name, {NOBODY}),
        "exists": (None, {name}),
        "error": (None, {other}),  # the face belongs to another subject
    }
    return outcomes[replica.add(face, name)]


def rename(replica: Replica, face: int, names: Sequence[str]) -> Outcome:
    del face
    name, other = names
    return (other, {name}) if replica.rename(name, other) else (None, {NOBODY, other})


def delete(replica: Replica, face: int, names: Sequence[str]) -> Outcome:
    del face
    name, other = names
    return (NOBODY, {name}) if replica.delete(name) else (None, {NOBODY, other})


ACTIONS: Sequence[Callable[[Replica, int, Sequence[str]], Outcome]] = (look, look, look, add, add, rename, delete)


def test_what_three_replicas_answer_could_have_happened_one_after_another(replicas: list[Replica]) -> None:
    histories: defaultdict[int, list[Operation]] = defaultdict(list)

    def client(seed: int) -> None:
        chosen = random.Random(seed)  # noqa: S311
        for _ in range(ROUNDS):
            replica, face = chosen.choice(replicas), chosen.choice(FACES)
            names = chosen.sample([f"a-{face}", f"b-{face}"], 2)
            begin = time.monotonic()
            effect, seen = chosen.choice(ACTIONS)(replica, face, names)
            histories[face].append(Operation(begin, time.monotonic(), effect, frozenset(seen)))

    map_in_threads(client, range(CLIENTS), CLIENTS)

    assert sum(each.effect is not None for history in histories.values() for each in history) > ROUNDS / 2
    assert all(is_linearizable(history, initial=NOBODY) for history in histories.values())
    owners = [[replica.owner(face) for face in FACES] for replica in replicas]
    assert owners[0] == owners[1] == owners[2]


def test_the_next_answer_of_every_replica_has_an_acknowledged_change(replicas: list[Replica]) -> None:
    face, delays, late = len(FACES), list[float](), 0
    for number in range(12):
        changing, *others = replicas[number % 3 :] + replicas[: number % 3]
        owner = change(changing, face, number)
        began = time.monotonic()
        for other in others:
            late += other.owner(face) != owner
            assert eventually(lambda other=other, owner=owner: other.owner(face) == owner)  # type: ignore[misc]
            delays.append(time.monotonic() - began)

    print(f"seen after {median(delays):.3f} s, at most {max(delays):.3f} s, answers included")  # noqa: T201
    assert late == 0


def change(replica: Replica, face: int, number: int) -> str:
    """Make the next change of three, and return the owner that the face has then."""
    if number % 3 == 0:
        replica.add(face, "first")
        return "first"
    if number % 3 == 1:
        replica.rename("first", "second")
        return "second"
    replica.delete("second")
    return NOBODY
