"""Galleries and subjects as rows: what is there, what it counts, and what raises the revision."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.domain.embeddings import Embedding
from app.domain.errors import ModelMismatch, NotFound
from app.gallery import face_repository
from app.gallery.repository import GalleryRepository
from app.gallery.search import GallerySearch
from tests.support.templates import FACE, MODEL, QUALITY, numbered, template, unit

pytestmark = pytest.mark.any_database

IDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=128)


def test_metadata_is_told_of_those_who_are_still_there(repository: GalleryRepository) -> None:
    repository.put_subject("guests", "ada", {"name": "Ada"})

    assert repository.metadata("guests", ["gone", "ada"]) == {"ada": {"name": "Ada"}}
    assert repository.metadata("guests", []) == {}


def test_a_face_comes_back_as_it_was_enrolled(repository: GalleryRepository) -> None:
    enrolled = template("f", "ada", unit(1, 128))
    repository.enroll("guests", "ada", [enrolled])
    (face,) = repository.faces("guests", "ada")

    assert (face.face_id, face.subject_id, face.enrolled_at) == ("f", "ada", enrolled.enrolled_at)
    assert face.face
    assert (face.face.box, face.face.confidence, face.quality) == (FACE.box, FACE.confidence, QUALITY)
    assert face.embedding.model == MODEL
    np.testing.assert_array_equal(face.embedding.vector, unit(1, 128))
    np.testing.assert_array_equal(face.face.landmarks.points, FACE.landmarks.points)


def test_faces_are_listed_oldest_first(repository: GalleryRepository) -> None:
    for seed in (5, 3, 9):
        repository.enroll("guests", "ada", numbered("ada", seed))
    repository.delete_face("guests", "ada", "9")
    repository.enroll("guests", "ada", numbered("ada", 1))

    assert [face.face_id for face in repository.faces("guests", "ada")] == ["5", "3", "1"]


def test_faces_that_are_read_in_several_blocks_are_all_there_and_damaged_ones_told(
    repository: GalleryRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face_repository, "_ROWS_OF_A_BLOCK", 3)
    repository.enroll("guests", "ada", numbered("ada", 0, 1, 2, 3, 4))
    repository.enroll("guests", "bob", numbered("bob", 5, 6, 7))
    with repository._database.writing() as db:
        db.execute("UPDATE faces SET vector = ? WHERE id = '1'", (b"short",))
    blocks: list[list[str]] = []
    _, changes = repository.changes_since(
        "guests", None, on_block=lambda faces: blocks.append([each.face_id for each in faces])
    )

    assert [*blocks, [each.face_id for each in changes.added]] == [["0", "2", "3"], ["4", "5", "6"], ["7"]]
    assert [each.face_id for each in changes.damaged] == ["1"]
    search = GallerySearch(repository)
    search.load_indexes()
    _, hits = search.search("guests", Embedding(unit(7), MODEL), 1, 0.01)
    assert [(hit.subject_id, hit.face_id) for hit in hits] == [("bob", "7")]


@pytest.mark.parametrize(
    "question",
    [
        lambda repository: repository.gallery("none"),
        lambda repository: repository.delete_gallery("none"),
        lambda repository: repository.subjects("none", 10, ""),
        lambda repository: repository.metadata("none", []),
        lambda repository: repository.subject("guests", "none"),
        lambda repository: repository.delete_subject("guests", "none"),
        lambda repository: repository.faces("guests", "none"),
        lambda repository: repository.delete_face("guests", "ada", "none"),
        lambda repository: repository.delete_face("guests", "bob", "1"),
        lambda repository: repository.changes_since("none", None),
    ],
)
def test_what_is_not_there_is_not_found_and_changes_nothing(
    repository: GalleryRepository, question: Callable[[GalleryRepository], object]
) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1))
    repository.put_subject("guests", "bob", {})
    before = repository.galleries()

    with pytest.raises(NotFound, match=r"none|'bob' has no face '1'"):
        question(repository)
    assert repository.galleries() == before


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gallery=IDS, subject=IDS)
@example(gallery="'; DROP TABLE faces; --", subject="%_?*' OR 1=1 --")
def test_an_id_is_any_string(repository: GalleryRepository, gallery: str, subject: str) -> None:
    repository.enroll(gallery, subject, [template(subject, subject, unit(1))])

    assert [each.subject_id for each in repository.subjects(gallery, 9, "")] == [subject]
    assert [face.face_id for face in repository.faces(gallery, subject)] == [subject]
    assert list(repository.metadata(gallery, [subject])) == [subject]
    repository.delete_face(gallery, subject, subject)
    repository.delete_gallery(gallery)
    assert repository.galleries() == []


def test_a_gallery_belongs_to_the_model_that_filled_it_even_when_emptied(repository: GalleryRepository) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1))
    repository.delete_subject("guests", "ada")

    with pytest.raises(ModelMismatch, match=f"filled by model {MODEL}, not sha256:other"):
        repository.enroll("guests", "ada", [template("2", "ada", unit(2), "sha256:other")])
    assert repository.gallery("guests").model == MODEL
