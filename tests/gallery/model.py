"""The gallery as a plain dictionary, searched by looking at everything."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from app.domain.models import Floats


@dataclass
class PlainSubject:
    metadata: dict[str, int] = field(default_factory=dict)
    faces: dict[str, Floats] = field(default_factory=dict)


@dataclass
class PlainGallery:
    revision: int = 0
    subjects: dict[str, PlainSubject] = field(default_factory=dict)

    def enroll(self, subject_id: str, faces: dict[str, Floats]) -> None:
        self.revision += 1
        self.subjects.setdefault(subject_id, PlainSubject()).faces.update(faces)

    def describe(self, subject_id: str, metadata: dict[str, int]) -> None:
        self.revision += 1
        self.subjects.setdefault(subject_id, PlainSubject()).metadata = metadata

    def delete_face(self, subject_id: str, face_id: str) -> None:
        self.revision += 1
        del self.subjects[subject_id].faces[face_id]

    def delete_subject(self, subject_id: str) -> None:
        self.revision += 1
        del self.subjects[subject_id]

    def expire(self) -> None:
        self.revision += any(subject.faces for subject in self.subjects.values())
        for subject in self.subjects.values():
            subject.faces.clear()

    def faces(self) -> Iterator[tuple[str, str, Floats]]:
        """(subject, face, vector) of everyone."""
        for subject_id, subject in self.subjects.items():
            for face_id, vector in subject.faces.items():
                yield subject_id, face_id, vector

    def search(self, probe: Floats, subjects: int, threshold: float) -> list[tuple[str, str]]:
        """The nearest face of each of the `subjects` nearest subjects within `threshold`, nearest first."""
        measured = sorted(
            (float(np.sum((vector.astype(np.float64) - probe) ** 2)), subject_id, face_id)
            for subject_id, face_id, vector in self.faces()
        )
        nearest: dict[str, str] = {}
        for distance, subject_id, face_id in measured:
            if distance <= threshold:
                nearest.setdefault(subject_id, face_id)
        return list(nearest.items())[:subjects]
