"""A client of the soak test: random requests about its own subjects, and a model of what must be enrolled."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import httpx2

from tests.support.api import Api, subject_path
from tests.support.lengths import SEED
from tests.support.photos import COLLINS, COLLINS_AGAIN, HOPPER, small_jpeg

from .corpus import no_face
from .mutations import hostile_photo

GALLERY = "soak"
PHOTOS = [small_jpeg(COLLINS, side=300), COLLINS_AGAIN, small_jpeg(HOPPER, side=400)]
MOST_SUBJECTS = 12
HOSTILE_PHOTOS = 40
"""Always the same ones: new sizes would make the allocator's reserve grow, and hide a leak."""
BAD_REQUESTS: list[Callable[[Api], httpx2.Response]] = [
    lambda api: api.detect(b"no image"),
    lambda api: api.verify(no_face(), PHOTOS[0]),
    lambda api: api.verify(PHOTOS[0], PHOTOS[1], fmr="often"),
    lambda api: api.http.get("/nowhere"),
    lambda api: api.http.get(subject_path(GALLERY, "nobody")),
    lambda api: api.http.post("/verify", content=b"{", headers={"content-type": "application/json"}),
]


@dataclass
class Client:
    """Its model maps a subject to the ids of its faces. No other client touches these subjects."""

    number: int
    api: Api
    model: dict[str, list[str]] = field(default_factory=dict)
    unplanned: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    latencies: list[tuple[float, float]] = field(default_factory=list)
    """When a request began, and how many seconds it took."""

    def __post_init__(self) -> None:
        self._random = Random(f"{SEED} soak {self.number}")  # noqa: S311
        self._made = 0

    def run(self, until: float) -> None:
        kinds, weights = zip(*PLAN.items(), strict=True)
        while time.monotonic() < until:
            (kind,) = self._random.choices(kinds, weights)
            kind(self)

    def enrol(self) -> None:
        self._made += 1
        known = self._random.random() < 0.3 and self.model
        subject = self._random.choice(list(self.model)) if known else f"{self.number}-{self._made}"
        answer = self._ask("enrol", {201}, lambda: self.api.enroll(GALLERY, subject, self._photo()))
        if answer.status_code == 201:
            self.model.setdefault(subject, []).append(answer.json()["enrolled"][0]["face_id"])
        if len(self.model) > MOST_SUBJECTS:
            self.delete_subject()

    def delete_subject(self) -> None:
        if self.model:
            subject = self._random.choice(list(self.model))
            self._ask("delete subject", {202, 204}, lambda: self.api.http.delete(subject_path(GALLERY, subject)))
            del self.model[subject]

    def delete_face(self) -> None:
        if faces := [(subject, face) for subject, ids in self.model.items() for face in ids]:
            subject, face = self._random.choice(faces)
            path = f"{subject_path(GALLERY, subject)}/faces/{face}"
            self._ask("delete face", {202, 204}, lambda: self.api.http.delete(path))
            self.model[subject].remove(face)

    def identify(self) -> None:
        """Check that each of its own subjects that is named is enrolled, with that face."""
        answer = self._ask("identify", {200}, lambda: self.api.identify(self._photo(), gallery=GALLERY, top_k="100"))
        (face,) = answer.json()["faces"]
        own = [each for each in face["candidates"] if each["subject_id"].startswith(f"{self.number}-")]
        ghosts = [each for each in own if each["face_id"] not in self.model.get(each["subject_id"], [])]
        self.unplanned += [f"identify named {each['subject_id']}, {each['face_id']}" for each in ghosts]

    def verify(self) -> None:
        self._ask("verify", {200}, lambda: self.api.verify(self._photo(), self._photo()))

    def verify_subject(self) -> None:
        if enrolled := [subject for subject, faces in self.model.items() if faces]:
            subject = self._random.choice(enrolled)
            self._ask("verify subject", {200}, lambda: self.api.verify_subject(GALLERY, subject, self._photo()))

    def detect(self) -> None:
        self._ask("detect", {200}, lambda: self.api.detect(self._photo()))

    def list_faces(self) -> None:
        """Check that a subject of its own has exactly the faces of the model."""
        if self.model:
            subject = self._random.choice(list(self.model))
            answer = self._ask(
                "list faces", {200}, lambda: self.api.http.get(f"{subject_path(GALLERY, subject)}/faces")
            )
            found = [face["face_id"] for face in answer.json()["faces"]]
            if found != self.model[subject]:
                self.unplanned.append(f"{subject} has {found}, not {self.model[subject]}")

    def bad_input(self) -> None:
        bad = self._random.choice(BAD_REQUESTS)
        self._ask("bad input", {404, 422}, lambda: bad(self.api))

    def hostile_photo(self) -> None:
        number = self._random.randrange(HOSTILE_PHOTOS)
        self._ask("hostile photo", {200, 413, 415, 422}, lambda: self.api.detect(hostile_photo(number)))

    def _photo(self) -> bytes:
        return self._random.choice(PHOTOS)

    def _ask(self, kind: str, planned: set[int], call: Callable[[], httpx2.Response]) -> httpx2.Response:
        began = time.monotonic()
        answer = call()
        self.latencies.append((began, time.monotonic() - began))
        self.answers[f"{kind} {answer.status_code}"] += 1
        if answer.status_code not in planned:
            self.unplanned.append(f"{kind}: {answer.status_code} {answer.text[:300]}")
        return answer


PLAN: dict[Callable[[Client], None], int] = {
    Client.enrol: 18,
    Client.delete_subject: 6,
    Client.delete_face: 6,
    Client.identify: 22,
    Client.verify: 18,
    Client.verify_subject: 8,
    Client.detect: 8,
    Client.list_faces: 4,
    Client.bad_input: 7,
    Client.hostile_photo: 3,
}
"""Parts in a hundred."""
