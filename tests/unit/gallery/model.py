"""The gallery as a plain dictionary, searched by comparing with every face."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from app.domain.arrays import Floats


@dataclass
class PlainSubject:
    metadata: dict[str, int] = field(default_factory=dict)
    faces: dict[str, Floats] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    """The ids of its damaged faces."""


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
        self.subjects[subject_id].damaged.discard(face_id)

    def delete_subject(self, subject_id: str) -> None:
        self.revision += 1
        del self.subjects[subject_id]

    def rename(self, subject_id: str, new_id: str) -> None:
        self.revision += 2
        self.subjects[new_id] = self.subjects.pop(subject_id)

    def merge(self, subject_id: str, other_id: str) -> None:
        self.revision += 2
        other = self.subjects.pop(other_id)
        self.subjects[subject_id].faces.update(other.faces)
        self.subjects[subject_id].damaged |= other.damaged

    def move_face(self, subject_id: str, other_id: str, face_id: str) -> None:
        self.revision += 2
        subject, other = self.subjects[subject_id], self.subjects[other_id]
        subject.faces[face_id] = other.faces.pop(face_id)
        subject.damaged |= other.damaged & {face_id}
        other.damaged.discard(face_id)

    def expire(self) -> None:
        self.revision += any(subject.faces for subject in self.subjects.values())
        for subject in self.subjects.values():
            subject.faces.clear()
            subject.damaged.clear()

    def repair(self) -> None:
        for subject_id, face_id in self.damaged():
            self.delete_face(subject_id, face_id)

    def faces(self) -> Iterator[tuple[str, str, Floats]]:
        """Yield (subject, face, vector) of every face."""
        for subject_id, subject in self.subjects.items():
            for face_id, vector in subject.faces.items():
                yield subject_id, face_id, vector

    def damaged(self) -> set[tuple[str, str]]:
        """Return (subject, face) of every damaged face."""
        return {(name, face_id) for name, subject in self.subjects.items() for face_id in subject.damaged}

    def intact(self) -> list[tuple[str, str, Floats]]:
        """Return (subject, face, vector) of every face that is not damaged."""
        damaged = self.damaged()
        return [face for face in self.faces() if face[:2] not in damaged]

    def search(self, probe: Floats, subjects: int, threshold: float) -> list[tuple[str, str]]:
        """Return the nearest face of each of the `subjects` nearest subjects within `threshold`, nearest first."""
        measured = sorted(
            (float(np.sum((vector.astype(np.float64) - probe) ** 2)), subject_id, face_id)
            for subject_id, face_id, vector in self.intact()
        )
        nearest: dict[str, str] = {}
        for distance, subject_id, face_id in measured:
            if distance <= threshold:
                nearest.setdefault(subject_id, face_id)
        return list(nearest.items())[:subjects]
