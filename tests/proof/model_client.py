"""
A client with a gallery of its own, which knows what must be there if the service ends at any moment.

Each change leads through states, from the one before it to the one after it. An acknowledgement makes the earlier ones
impossible; without an answer, any of those that remain may be there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from app.domain.arrays import Floats
from app.domain.errors import NotFound
from app.gallery.repository import GalleryRepository
from tests.support.api import Api
from tests.support.templates import unit

DIMENSION = 128
_CLIENT = 1_000_000
"""Faces of a client are numbered from here times its number."""


@dataclass(frozen=True, slots=True)
class Person:
    """The note in the metadata, and the numbers of the faces."""

    note: str | None = None
    faces: frozenset[int] = frozenset()


State = Mapping[str, Person]
ReEmbed = Callable[[str], Iterator[None]]
"""Gives a gallery another model, then its own, and yields at each switch. Raises Unanswered."""


class Unanswered(Exception):
    """The service could not say whether the change was made."""


@dataclass(frozen=True, slots=True)
class Change:
    """
    `send` yields at each acknowledgement; `states` has one more.

    With `may_repeat` it has the same effect when it is sent a second time.
    """

    states: Sequence[State]
    send: Callable[[Api], Iterator[None]]
    may_repeat: bool = False


class Client:
    def __init__(self, number: int, model: str, random: Random, re_embed: ReEmbed) -> None:
        """`model` is the digest of the service's model."""
        self.number, self.model, self.random, self.re_embed = number, model, random, re_embed
        self.gallery = f"gallery-{number}"
        self.possible: list[State] = [{}]
        self.ids: dict[int, str] = {}
        """The ids that the service gave to faces."""
        self.vectors: list[Floats] = []
        self.crops: set[int] = set()
        """The faces that were sent with a crop."""
        self.sign = 1
        """-1 while the gallery has the vectors of the other model, which are the opposite ones."""
        self.is_re_embedding = False
        self.notes: list[str] = []
        self.tally = Tally()
        self._pending: tuple[str, Change] | None = None

    @property
    def state(self) -> State:
        (only,) = self.possible
        return only

    def act(self, api: Api, operations: Mapping[Operation, int]) -> None:
        """Make a change. Raises TransportError or Unanswered if its outcome is unknown."""
        kinds, weights = zip(*operations.items(), strict=True)
        (kind,) = self.random.choices(kinds, weights)
        if change := kind(self):
            self._send(api, kind.__name__, change)

    def accept(self, found: State) -> None:
        """Take what the service has, which must be possible, for the state from now on."""
        assert found in self.possible, describe(self.possible, found)
        self.possible = [found]
        if self._pending:
            name, change = self._pending
            self.tally.interrupted[f"{name}, {_part_made(change, found)}"] += 1

    def finish(self, api: Api) -> None:
        """Repeat the change that was not answered, if it has the same effect the second time."""
        pending, self._pending = self._pending, None
        if pending and pending[1].may_repeat:
            self._send(api, *pending)

    def _send(self, api: Api, name: str, change: Change) -> None:
        self._pending, self.possible = (name, change), list(change.states)
        for _ in change.send(api):
            del self.possible[0]
        assert len(self.possible) == 1, f"{name}: {len(self.possible) - 1} lines were not answered"
        self._pending = None
        self.tally.acknowledged[name] += 1

    def new_face(self) -> int:
        self.vectors.append(unit(self.seed(len(self.vectors)), DIMENSION))
        return len(self.vectors) - 1

    def seed(self, face: int) -> int:
        """Return the number of which the vector of the face is made."""
        return _CLIENT * self.number + face

    def new_note(self) -> str:
        """Return a text that nobody else has."""
        self.notes.append(f"note {self.number} {len(self.notes):06d}")
        return self.notes[-1]

    def new_name(self) -> str:
        return f"subject {len(self.vectors)} {self.random.random()}"

    def read_state(self, repository: GalleryRepository) -> State:
        """Return what is stored of the gallery, and learn the ids of its faces, and which model it has."""
        try:
            subjects = repository.subjects(self.gallery, 10_000, "")
        except NotFound:
            self.sign, self.is_re_embedding = 1, False
            return {}
        self.sign = 1 if repository.gallery(self.gallery).model in (self.model, None) else -1
        self.is_re_embedding = repository.crop_status(self.gallery).re_embedding is not None
        return {each.subject_id: self._person(repository, each.subject_id, each.metadata) for each in subjects}

    def _person(self, repository: GalleryRepository, subject: str, metadata: Mapping[str, Any]) -> Person:
        assert metadata.keys() <= {"note"}
        templates = repository.faces(self.gallery, subject)
        found = {self._number(each.embedding.vector): each.face_id for each in templates}
        assert len(found) == len(templates), f"{subject} has a face twice"
        self.ids |= found
        return Person(metadata.get("note"), frozenset(found))

    def _number(self, vector: Floats) -> int:
        similarity = self.sign * np.array(self.vectors) @ vector
        number = int(similarity.argmax())
        assert similarity[number] > 1 - 1e-5
        return number


Operation = Callable[[Client], Change | None]
"""Makes a change at random; returns None if there is nothing to change in such a way."""


@dataclass
class Tally:
    acknowledged: Counter[str] = field(default_factory=Counter)
    interrupted: Counter[str] = field(default_factory=Counter)


def _part_made(change: Change, found: State) -> str:
    if found == change.states[-1]:
        return "made"
    return "not made" if found == change.states[0] else "made in part"


def describe(possible: Sequence[State], found: State) -> str:
    """Say how what was found differs from the last state that is possible."""
    expected = possible[-1]
    names = [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
    return f"{len(possible)} states are possible; expected, got: " + "; ".join(
        f"{name}: {expected.get(name)}, {found.get(name)}" for name in sorted(names)
    )
