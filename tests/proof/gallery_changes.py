"""The changes that clients make over HTTP before a kill. A new one is a function and a line of the table."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx2

from app.gallery.export_lines import FORMAT
from tests.support.api import Api, subject_path

from .model_client import Change, Client, Operation, Person, State, Unanswered
from .re_embedding import crop_of

MOST_FACES = 12
UNAVAILABLE = {"storage_unavailable", "overloaded"}


def enroll(client: Client) -> Change:
    """Enrol faces of a new subject or one that is there, under an Idempotency-Key."""
    known = _subject(client) if client.random.random() < 0.4 else None
    name = known or client.new_name()
    before = client.state.get(name, Person())
    faces = [client.new_face() for _ in range(client.random.randint(1, 3))]
    after = {**client.state, name: Person(before.note, before.faces | set(faces))}
    body = {"embeddings": [client.vectors[each].tolist() for each in faces], "model": client.model}
    key = {"Idempotency-Key": f"{faces[0]}"}

    def send(api: Api) -> Iterator[None]:
        path = f"{subject_path(client.gallery, name)}/faces"
        enrolled = _answered(api.http.post(path, json=body, headers=key), 201).json()["enrolled"]
        client.ids |= {face: each["face_id"] for face, each in zip(faces, enrolled, strict=True)}
        yield

    return Change([client.state, after], send, may_repeat=True)


def describe(client: Client) -> Change:
    name = _subject(client) or client.new_name()
    note = client.new_note()
    after = {**client.state, name: Person(note, client.state.get(name, Person()).faces)}
    return _request(client, after, "PUT", name, json={"metadata": {"note": note}})


def rename(client: Client) -> Change | None:
    """Give a subject another id and new metadata, in one request."""
    if not (name := _subject(client)):
        return None
    new_name, note = client.new_name(), client.new_note()
    after = {**_without(client.state, name), new_name: Person(note, client.state[name].faces)}
    return _request(client, after, "PATCH", name, json={"id": new_name, "metadata": {"note": note}})


def merge(client: Client) -> Change | None:
    if not (pair := _two_subjects(client)):
        return None
    name, other = pair
    into = client.state[name]
    after = {**_without(client.state, other), name: Person(into.note, into.faces | client.state[other].faces)}
    return _request(client, after, "POST", name, "/merge", json={"from": other})


def move_faces(client: Client) -> Change | None:
    if not (pair := _two_subjects(client)):
        return None
    name, other = pair
    into, source = client.state[name], client.state[other]
    faces = frozenset(client.random.sample(sorted(source.faces), len(source.faces) // 2))
    if not faces:
        return None
    after = {
        **client.state,
        name: Person(into.note, into.faces | faces),
        other: Person(source.note, source.faces - faces),
    }
    body = {"from": other, "faces": [client.ids[face] for face in faces]}
    return _request(client, after, "POST", name, "/merge", json=body)


def delete_face(client: Client) -> Change | None:
    if not (name := _subject(client)) or not (faces := sorted(client.state[name].faces)):
        return None
    face, before = client.random.choice(faces), client.state[name]
    after = {**client.state, name: Person(before.note, before.faces - {face})}
    return _request(client, after, "DELETE", name, f"/faces/{client.ids[face]}")


def delete_subject(client: Client) -> Change | None:
    if not (name := _subject(client)):
        return None
    return _request(client, _without(client.state, name), "DELETE", name)


def delete_gallery(client: Client) -> Change | None:
    if not client.state:
        return None

    def send(api: Api) -> Iterator[None]:
        _answered(api.http.delete(f"/galleries/{client.gallery}"), 202, 204)
        yield

    return Change([client.state, {}], send)


def import_lines(client: Client) -> Change:
    """Import lines of new subjects and of one that is there; the state after each of them is possible."""
    states = [client.state]
    lines: list[dict[str, Any]] = [{"format": FORMAT, "gallery": client.gallery, "model": client.model}]
    known = _subject(client)
    for name in [*([known] if known else []), *(client.new_name() for _ in range(client.random.randint(1, 25)))]:
        faces, note = [client.new_face() for _ in range(client.random.randint(0, 3))], client.new_note()
        before = client.state.get(name, Person())
        states.append({**states[-1], name: Person(note, before.faces | set(faces))})
        lines.append({"subject_id": name, "metadata": {"note": note}, "faces": [_line(client, face) for face in faces]})

    def send(api: Api) -> Iterator[None]:
        with api.http.stream("POST", f"/galleries/{client.gallery}/import", content=_chunks(client, lines)) as answer:
            assert answer.status_code == 200, answer.read()
            for line in map(json.loads, answer.iter_lines()):
                if line["status"] == "error" and line["error"]["code"] in UNAVAILABLE:
                    raise Unanswered(line)
                assert line["status"] in {"header", "created", "updated"}, line
                if line["status"] != "header":
                    yield

    return Change(states, send)


def re_embed(client: Client) -> Change | None:
    """Give the gallery another model and back, from kept crops; faces that have none are erased."""
    if not client.state:
        return None
    after = {name: Person(person.note, person.faces & client.crops) for name, person in client.state.items()}

    def send(_: Api) -> Iterator[None]:
        yield from client.re_embed(client.gallery)

    return Change([client.state, after, after], send, may_repeat=True)


def _chunks(client: Client, lines: list[dict[str, Any]]) -> Iterator[bytes]:
    """Yield the body in pieces, which end anywhere."""
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    size = client.random.randint(500, 20_000)
    for start in range(0, len(body), size):
        yield body[start : start + size]


def _line(client: Client, face: int) -> dict[str, Any]:
    client.ids[face] = f"face-{face}"
    client.crops.add(face)
    vector, crop = client.vectors[face].tobytes(), crop_of(client.seed(face))
    return {
        "face_id": client.ids[face],
        "vector": base64.b64encode(vector).decode(),
        "crop": base64.b64encode(crop).decode(),
        "enrolled_at": "2026-01-02T03:04:05.678Z",
    }


OPERATIONS: dict[Operation, int] = {
    enroll: 30,
    describe: 10,
    rename: 10,
    merge: 8,
    move_faces: 8,
    delete_face: 8,
    delete_subject: 14,
    import_lines: 6,
    re_embed: 3,
    delete_gallery: 1,
}
"""Each with its part of all."""


def _request(client: Client, after: State, method: str, name: str, below: str = "", **body: Any) -> Change:
    def send(api: Api) -> Iterator[None]:
        _answered(api.http.request(method, subject_path(client.gallery, name) + below, **body), 200, 201, 202, 204)
        yield

    return Change([client.state, after], send)


def _answered(response: httpx2.Response, *expected: int) -> httpx2.Response:
    if response.status_code == 503 and response.json()["code"] in UNAVAILABLE:
        raise Unanswered(response.text)
    assert response.status_code in expected, f"{response.request.method} {response.url}: {response.text}"
    return response


def _subject(client: Client) -> str | None:
    """Return a subject that may get further faces, or None."""
    names = [name for name, person in client.state.items() if len(person.faces) < MOST_FACES]
    return client.random.choice(names) if names else None


def _two_subjects(client: Client) -> tuple[str, str] | None:
    names = [name for name, person in client.state.items() if len(person.faces) < MOST_FACES]
    if len(names) < 2:
        return None
    first, second = client.random.sample(names, 2)
    return first, second


def _without(state: State, name: str) -> dict[str, Person]:
    return {each: person for each, person in state.items() if each != name}
