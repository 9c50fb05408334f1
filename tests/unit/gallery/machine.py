"""
Two processes that do random things to galleries, beside a plain dictionary that the same is done to.

Where the rows are, and what searches them, is said by classes derived from this.
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.audit.log import AuditLog
from app.domain.arrays import Floats
from app.domain.embeddings import Embedding
from app.domain.identity import Actor
from app.gallery.records import KeptCrop
from app.gallery.repository import GalleryRepository
from app.gallery.search import GallerySearch
from app.gallery.searching import Search
from app.storage.cipher import Cipher, NoCipher
from tests.support.repository import FileRepository
from tests.support.templates import DIMENSION, MODEL, template, unit
from tests.unit.gallery.model import PlainGallery

PROCESS = st.integers(0, 1)
GALLERY = st.sampled_from(["guests", "staff"])
SUBJECT = st.sampled_from(["ada", "Žofie", "a/b", "'; --"])
PICK = st.integers(0, 10_000)
JUNK = (  # the first byte of an encrypted value is 1: two of one junk would look like a key that is not given
    st.binary(max_size=80).filter(lambda data: not data.startswith(b"\x01"))
    | st.text(max_size=20)
    | st.floats(allow_nan=False)
)
CROP = b"\xff\xd8\xff"
"""The beginning of a crop; in these tests the vector of its face follows."""
OTHER_MODEL = "sha256:" + "b" * 64
AFTER_ENROLMENT = "2026-01-03T00:00:00.000Z"  # of templates made by tests, and before any subject is


def switch_to(repository: GalleryRepository, gallery: str, model: str, sign: int) -> None:
    """Make the new vectors of a few faces, and then of those that are left, and switch."""

    def embed(crops: Sequence[KeptCrop]) -> list[Floats]:
        return [sign * np.frombuffer(crop.jpeg.removeprefix(CROP), np.float32) for crop in crops]

    repository.begin_re_embedding(gallery, model, DIMENSION)
    for limit in (3, 1000):
        crops = repository.crops_to_embed(gallery, "", limit)
        repository.add_new_vectors(gallery, model, crops, embed(crops))
    assert repository.switch_model(gallery, model, embed) is not None


class Process:
    """A connection of its own, and an index of its own."""

    def __init__(self, repository: FileRepository, search: Search) -> None:
        self.repository, self.search = repository, search


class TwoProcesses(RuleBasedStateMachine):
    first_cipher: Cipher = NoCipher()

    def __init__(self) -> None:
        super().__init__()
        self.address = self.make_database()
        self.cipher = self.first_cipher
        self.processes = [self.start() for _ in range(2)]
        self.model: dict[str, PlainGallery] = {}
        self.numbers = itertools.count()
        self.was_damaged = False

    def make_database(self) -> Path | str:
        """Return the address of an empty one."""
        raise NotImplementedError

    def remove_database(self) -> None:
        raise NotImplementedError

    def overwrite(self, column: str, junk: Any, gallery: int, face: str) -> None:
        """Change a value behind the service's back."""
        raise NotImplementedError

    def make_search(self, repository: GalleryRepository) -> Search:
        return GallerySearch(repository)

    def start(self) -> Process:
        repository = FileRepository(self.address, cipher=self.cipher)
        return Process(repository, self.make_search(repository))

    def teardown(self) -> None:
        fault = AuditLog(self.processes[0].repository.database).verify().fault
        assert (fault is not None) == self.was_damaged  # even after a repair or a new key
        for process in self.processes:
            process.repository.close()
        self.remove_database()

    def enroll_as(self, by: int, gallery: str, subject: str, faces: dict[str, Floats]) -> None:
        templates = [
            replace(template(face_id, subject, vector), crop=CROP + vector.tobytes())
            for face_id, vector in faces.items()
        ]
        self.processes[by].repository.enroll(gallery, subject, templates)
        self.model.setdefault(gallery, PlainGallery()).enroll(subject, faces)

    def present(self) -> list[tuple[str, str, str]]:
        return [(name, subject, face) for name, gallery in self.model.items() for subject, face, _ in gallery.faces()]

    @initialize()
    def one_gallery(self) -> None:
        self.processes[0].repository.create_gallery("guests")
        self.model["guests"] = PlainGallery()

    @rule(by=PROCESS, gallery=GALLERY, subject=SUBJECT, count=st.sampled_from([1, 2, 3, 40]))
    def enroll(self, by: int, gallery: str, subject: str, count: int) -> None:
        faces = {str(number): unit(number) for number in itertools.islice(self.numbers, count)}
        self.enroll_as(by, gallery, subject, faces)

    @precondition(lambda self: self.present())
    @rule(by=PROCESS, pick=PICK, heir=SUBJECT)
    def delete_a_face_and_use_its_id_again(self, by: int, pick: int, heir: str) -> None:
        gallery, subject, face = self.present()[pick % len(self.present())]
        self.processes[by].repository.delete_face(gallery, subject, face)
        self.model[gallery].delete_face(subject, face)
        self.enroll_as(1 - by, gallery, heir, {face: unit(next(self.numbers))})

    @rule(by=PROCESS, gallery=GALLERY, subject=SUBJECT, number=st.integers(0, 9))
    def describe(self, by: int, gallery: str, subject: str, number: int) -> None:
        self.processes[by].repository.put_subject(gallery, subject, {"number": number})
        self.model.setdefault(gallery, PlainGallery()).describe(subject, {"number": number})

    @precondition(lambda self: self.present())
    @rule(by=PROCESS, pick=PICK)
    def delete_a_face(self, by: int, pick: int) -> None:
        gallery, subject, face = self.present()[pick % len(self.present())]
        self.processes[by].repository.delete_face(gallery, subject, face)
        self.model[gallery].delete_face(subject, face)

    @precondition(lambda self: self.present())
    @rule(by=PROCESS, pick=PICK)
    def delete_a_subject(self, by: int, pick: int) -> None:
        gallery, subject, _ = self.present()[pick % len(self.present())]
        self.processes[by].repository.delete_subject(gallery, subject)
        self.model[gallery].delete_subject(subject)

    @precondition(lambda self: self.present())
    @rule(by=PROCESS, pick=PICK, new=SUBJECT)
    def rename_a_subject(self, by: int, pick: int, new: str) -> None:
        gallery, subject, _ = self.present()[pick % len(self.present())]
        assume(new not in self.model[gallery].subjects)
        self.processes[by].repository.update_subject(gallery, subject, new)
        self.model[gallery].rename(subject, new)

    @precondition(lambda self: self.present())
    @rule(by=PROCESS, pick=PICK, heir=SUBJECT)
    def merge_a_subject(self, by: int, pick: int, heir: str) -> None:
        gallery, subject, _ = self.present()[pick % len(self.present())]
        assume(heir in self.model[gallery].subjects and heir != subject)
        self.processes[by].repository.merge_subjects(gallery, heir, subject)
        self.model[gallery].merge(heir, subject)

    @precondition(lambda self: self.present())
    @rule(by=PROCESS, pick=PICK, heir=SUBJECT)
    def move_a_face(self, by: int, pick: int, heir: str) -> None:
        gallery, subject, face = self.present()[pick % len(self.present())]
        assume(heir in self.model[gallery].subjects and heir != subject)
        self.processes[by].repository.move_faces(gallery, heir, subject, [face])
        self.model[gallery].move_face(heir, subject, face)

    @rule(by=PROCESS)
    def expire_all_faces(self, by: int) -> None:
        """Erase all faces, of subjects that are too young to be erased with them."""
        expected = {name: len(list(gallery.faces())) for name, gallery in self.model.items()}
        done = self.processes[by].repository.expire(AFTER_ENROLMENT, Actor("retention"))
        for gallery in self.model.values():
            gallery.expire()

        assert {each.gallery_id: each.faces for each in done} == {name: n for name, n in expected.items() if n}

    @precondition(lambda self: "staff" in self.model)
    @rule(by=PROCESS)
    def delete_a_gallery(self, by: int) -> None:
        self.processes[by].repository.delete_gallery("staff")
        del self.model["staff"]

    @rule(by=PROCESS, gallery=GALLERY)
    def create_a_gallery(self, by: int, gallery: str) -> None:
        _, made = self.processes[by].repository.create_gallery(gallery)

        assert made == (gallery not in self.model)
        self.model.setdefault(gallery, PlainGallery())

    @precondition(lambda self: self.present())
    @rule(by=PROCESS, pick=PICK)
    def re_embed(self, by: int, pick: int) -> None:
        """Give a gallery another model, whose vectors are the opposite ones, and then its own again."""
        gallery, subject, face = self.present()[pick % len(self.present())]
        plain = self.model[gallery]
        assume(not plain.damaged())
        vector = plain.subjects[subject].faces[face]
        for process, model, sign in ((by, OTHER_MODEL, -1), (1 - by, MODEL, 1)):
            switch_to(self.processes[process].repository, gallery, model, sign)
            plain.revision += 1
            searched, hits = self.processes[1 - process].search.search(
                gallery, Embedding(sign * vector, model), 1, 1e-3
            )

            assert searched.revision == plain.revision
            assert [(hit.subject_id, hit.face_id) for hit in hits] == [(subject, face)]

    @rule(by=PROCESS)
    def restart(self, by: int) -> None:
        self.processes[by].repository.close()
        self.processes[by] = self.start()
        self.processes[by].search.load_indexes()

    @rule(
        by=PROCESS,
        pick=PICK,
        probe=st.integers(-50, -1),
        subjects=st.integers(1, 5),
        threshold=st.sampled_from([0.5, 1.0, 1.5, 2.5, 4.0]),
    )
    def search(self, by: int, pick: int, probe: int, subjects: int, threshold: float) -> None:
        gallery, plain = sorted(self.model.items())[pick % len(self.model)]
        vector = unit(10_000 - probe)
        searched, hits = self.processes[by].search.search(gallery, Embedding(vector, MODEL), subjects, threshold)

        counts = (plain.revision, len(plain.subjects), len(list(plain.faces())))
        assert (searched.revision, searched.subjects, searched.faces) == counts
        assert [(hit.subject_id, hit.face_id) for hit in hits] == plain.search(vector, subjects, threshold)

    @rule(by=PROCESS)
    def find_everyone_by_their_own_vector(self, by: int) -> None:
        for name, gallery in self.model.items():
            for subject, face, vector in gallery.intact():
                _, hits = self.processes[by].search.search(name, Embedding(vector, MODEL), 1, 1e-3)
                assert [(hit.subject_id, hit.face_id) for hit in hits] == [(subject, face)]

    @precondition(lambda self: self.present())
    @rule(pick=PICK, column=st.sampled_from(["vector", "detection"]), junk=JUNK)
    def damage_a_face_and_restart(self, pick: int, column: str, junk: bytes | str | float) -> None:
        gallery, subject, face = self.present()[pick % len(self.present())]
        number = self.processes[0].repository.gallery(gallery).number
        self.overwrite(column, junk, number, face)
        self.was_damaged = True
        self.model[gallery].subjects[subject].damaged.add(face)
        if column == "detection":  # a search does not read it, so the model repairs at once
            self.repair(0)
        for by in range(2):
            self.restart(by)

    @precondition(lambda self: any(gallery.damaged() for gallery in self.model.values()))
    @rule(by=PROCESS)
    def repair(self, by: int) -> None:
        repository = self.processes[by].repository
        removed = repository.repair(repository.check_integrity())

        assert len(removed) == sum(len(gallery.damaged()) for gallery in self.model.values())
        for gallery in self.model.values():
            gallery.repair()

    @invariant()
    def every_damaged_face_is_found_by_the_check(self) -> None:
        expected = {(name, *face) for name, gallery in self.model.items() for face in gallery.damaged()}
        damage = self.processes[0].repository.damaged_rows()
        assert {(row.gallery_id, row.subject_id, row.face_id) for row in damage} == expected

    @invariant()
    def intact_faces_are_listed(self) -> None:
        for name, gallery in self.model.items():
            listed = {
                (subject, face.face_id)
                for subject in gallery.subjects
                for face in self.processes[1].repository.faces(name, subject)
            }
            assert listed == {face[:2] for face in gallery.intact()}

    @invariant()
    def both_processes_count_the_same(self) -> None:
        expected = [
            (name, gallery.revision, len(gallery.subjects), len(list(gallery.faces())))
            for name, gallery in sorted(self.model.items())
        ]
        for process in self.processes:
            counted = [(each.id, each.revision, each.subjects, each.faces) for each in process.repository.galleries()]
            assert counted == expected

    @invariant()
    def metadata_is_the_last_put(self) -> None:
        for name, gallery in self.model.items():
            kept = self.processes[0].repository.metadata(name, list(gallery.subjects))
            assert kept == {subject_id: subject.metadata for subject_id, subject in gallery.subjects.items()}
