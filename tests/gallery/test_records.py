"""Galleries and subjects as rows: what is there, what it counts, and what raises the revision."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.domain.errors import ModelMismatch, NotFound
from app.gallery.repository import GalleryRepository
from tests.support.templates import FACE, MODEL, QUALITY, numbered, template, unit

IDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=128)


def test_a_new_gallery_is_empty_and_bound_to_no_model(records: GalleryRepository) -> None:
    gallery, made = records.create_gallery("guests")

    assert made
    assert (gallery.id, gallery.subjects, gallery.faces, gallery.revision, gallery.model) == ("guests", 0, 0, 0, None)


def test_creating_a_gallery_again_changes_nothing(records: GalleryRepository) -> None:
    records.enroll("guests", "ada", numbered("ada", 1))
    before = records.gallery("guests")

    assert records.create_gallery("guests") == (before, False)


def test_galleries_are_listed_by_id_with_their_counts(records: GalleryRepository) -> None:
    records.create_gallery("staff")
    records.enroll("guests", "ada", numbered("ada", 1, 2))
    records.put_subject("guests", "bob", {})

    assert [(g.id, g.subjects, g.faces) for g in records.galleries()] == [("guests", 2, 2), ("staff", 0, 0)]


@pytest.mark.parametrize(
    "change",
    [
        lambda records: records.put_subject("guests", "ada", {"name": "Ada"}),
        lambda records: records.put_subject("guests", "new", {}),
        lambda records: records.enroll("guests", "ada", numbered("ada", 3)),
        lambda records: records.delete_face("guests", "ada", "1"),
        lambda records: records.delete_subject("guests", "ada"),
    ],
    ids=["describe", "add a subject", "enrol", "delete a face", "delete a subject"],
)
def test_every_change_raises_the_revision_by_one(
    records: GalleryRepository, change: Callable[[GalleryRepository], object]
) -> None:
    records.enroll("guests", "ada", numbered("ada", 1, 2))
    change(records)

    assert records.gallery("guests").revision == 2


def test_a_change_to_one_gallery_leaves_the_others_alone(records: GalleryRepository) -> None:
    records.enroll("guests", "ada", numbered("ada", 1))
    before = records.gallery("guests")
    records.enroll("staff", "ada", numbered("ada", 1))
    records.delete_subject("staff", "ada")

    assert records.gallery("guests") == before


def test_metadata_is_replaced_as_a_whole_and_faces_stay(records: GalleryRepository) -> None:
    records.enroll("guests", "ada", numbered("ada", 1))
    records.put_subject("guests", "ada", {"name": "Ada", "born": 1815})
    subject, made = records.put_subject("guests", "ada", {"tags": ["ü", None]})

    assert not made
    assert (subject.metadata, subject.faces) == ({"tags": ["ü", None]}, 1)


def test_subjects_come_in_pages_by_id(records: GalleryRepository) -> None:
    for name in ("d", "a", "c", "b"):
        records.put_subject("guests", name, {})

    assert [each.subject_id for each in records.subjects("guests", 3, "")] == ["a", "b", "c"]
    assert [each.subject_id for each in records.subjects("guests", 3, "c")] == ["d"]


def test_metadata_is_told_of_those_who_are_still_there(records: GalleryRepository) -> None:
    records.put_subject("guests", "ada", {"name": "Ada"})

    assert records.metadata("guests", ["gone", "ada"]) == {"ada": {"name": "Ada"}}
    assert records.metadata("guests", []) == {}


def test_a_face_comes_back_as_it_was_enrolled(records: GalleryRepository) -> None:
    enrolled = template("f", "ada", unit(1, 128))
    records.enroll("guests", "ada", [enrolled])
    (face,) = records.faces("guests", "ada")

    assert (face.face_id, face.subject_id, face.enrolled_at) == ("f", "ada", enrolled.enrolled_at)
    assert (face.face.box, face.face.confidence, face.quality) == (FACE.box, FACE.confidence, QUALITY)
    assert face.embedding.model == MODEL
    np.testing.assert_array_equal(face.embedding.vector, unit(1, 128))
    np.testing.assert_array_equal(face.face.landmarks.points, FACE.landmarks.points)


def test_faces_are_listed_oldest_first(records: GalleryRepository) -> None:
    for seed in (5, 3, 9):
        records.enroll("guests", "ada", numbered("ada", seed))
    records.delete_face("guests", "ada", "9")
    records.enroll("guests", "ada", numbered("ada", 1))

    assert [face.face_id for face in records.faces("guests", "ada")] == ["5", "3", "1"]


@pytest.mark.parametrize(
    "question",
    [
        lambda records: records.gallery("none"),
        lambda records: records.delete_gallery("none"),
        lambda records: records.subjects("none", 10, ""),
        lambda records: records.metadata("none", []),
        lambda records: records.subject("guests", "none"),
        lambda records: records.delete_subject("guests", "none"),
        lambda records: records.faces("guests", "none"),
        lambda records: records.delete_face("guests", "ada", "none"),
        lambda records: records.delete_face("guests", "bob", "1"),
        lambda records: records.changes_since("none", None),
    ],
)
def test_what_is_not_there_is_not_found_and_changes_nothing(
    records: GalleryRepository, question: Callable[[GalleryRepository], object]
) -> None:
    records.enroll("guests", "ada", numbered("ada", 1))
    records.put_subject("guests", "bob", {})
    before = records.galleries()

    with pytest.raises(NotFound, match=r"none|'bob' has no face '1'"):
        question(records)
    assert records.galleries() == before


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gallery=IDS, subject=IDS)
@example(gallery="'; DROP TABLE faces; --", subject="%_?*' OR 1=1 --")
def test_an_id_is_any_string(records: GalleryRepository, gallery: str, subject: str) -> None:
    records.enroll(gallery, subject, [template(subject, subject, unit(1))])

    assert [each.subject_id for each in records.subjects(gallery, 9, "")] == [subject]
    assert [face.face_id for face in records.faces(gallery, subject)] == [subject]
    assert list(records.metadata(gallery, [subject])) == [subject]
    records.delete_face(gallery, subject, subject)
    records.delete_gallery(gallery)
    assert records.galleries() == []


def test_a_gallery_belongs_to_the_model_that_filled_it_even_when_emptied(records: GalleryRepository) -> None:
    records.enroll("guests", "ada", numbered("ada", 1))
    records.delete_subject("guests", "ada")

    with pytest.raises(ModelMismatch, match=f"filled by model {MODEL}, not sha256:other"):
        records.enroll("guests", "ada", [template("2", "ada", unit(2), "sha256:other")])
    assert records.gallery("guests").model == MODEL


def test_a_subject_put_without_metadata_keeps_what_it_had(records: GalleryRepository) -> None:
    records.put_subject("guests", "ada", {"name": "Ada"})
    subject, made = records.put_subject("guests", "ada", None)
    assert (subject.metadata, made) == ({"name": "Ada"}, False)


def test_only_the_owner_may_read_the_files(records: GalleryRepository, path: Path) -> None:
    records.create_gallery("guests")
    assert {file.stat().st_mode & 0o077 for file in path.parent.glob("gallery.sqlite3*")} == {0}
