"""A gallery gets the vectors of another model from its kept crops, while it is used, and loses nobody."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.audit.log import AuditLog
from app.domain.arrays import Floats
from app.domain.embeddings import Embedding
from app.domain.errors import InvalidRequest, ModelMismatch
from app.domain.identity import SYSTEM
from app.gallery import re_embedding_repository
from app.gallery.records import KeptCrop
from app.gallery.search import GallerySearch
from app.storage.cipher import AesGcmCipher
from tests.support.fakes import WeightedOffsets
from tests.support.repository import FileRepository, wait_until_known
from tests.support.templates import DIMENSION, MODEL, crop_bytes, numbered, unit, with_crops
from tests.unit.gallery.encrypting import OLD, cipher

pytestmark = pytest.mark.any_database

NEW_MODEL, NEW_DIMENSION = "sha256:" + "b" * 64, 12
OFFSETS = WeightedOffsets((unit(77, NEW_DIMENSION) / 10).tolist(), NEW_MODEL)
Change = Callable[[FileRepository], object]


@pytest.fixture
def sealed(request: pytest.FixtureRequest) -> AesGcmCipher | None:
    """The gallery is encrypted unless a test asks for a plain one."""
    key: AesGcmCipher | None = getattr(request, "param", cipher(OLD))
    return key


@pytest.fixture
def repository(address: Path | str, sealed: AesGcmCipher | None) -> Iterator[FileRepository]:
    with closing(FileRepository(address, cipher=sealed, offsets=OFFSETS)) as opened:
        yield opened


@pytest.fixture
def others(address: Path | str, sealed: AesGcmCipher | None) -> Iterator[FileRepository]:
    with closing(FileRepository(address, cipher=sealed, offsets=OFFSETS)) as opened:
        yield opened


def new_unit(seed: int) -> Floats:
    return unit(5000 + seed, NEW_DIMENSION)


SEEDS = {crop_bytes(seed): seed for seed in range(40)}


def embed(crops: Sequence[KeptCrop]) -> list[Floats]:
    return [new_unit(SEEDS[crop.jpeg]) for crop in crops]


def fill(repository: FileRepository, limit: int = 2) -> int:
    """Add the new vectors of all faces that have a crop and none, and return their number."""
    repository.begin_re_embedding("guests", NEW_MODEL, NEW_DIMENSION)
    after, added = "", 0
    while crops := repository.crops_to_embed("guests", after, limit):
        added += repository.add_new_vectors("guests", NEW_MODEL, crops, embed(crops))
        after = crops[-1].face_id
    return added


def people(repository: FileRepository) -> dict[str, dict[str, int]]:
    """Return the faces of each subject, with the seed of which each has the new vector."""
    seeds = range(40)
    found: dict[str, dict[str, int]] = {}
    for subject in repository.subjects("guests", 99, ""):
        found[subject.subject_id] = {}
        for face in repository.faces("guests", subject.subject_id):
            assert face.embedding.model == NEW_MODEL
            products = [float(face.embedding.vector @ new_unit(seed)) for seed in seeds]
            assert max(products) > 0.9999
            found[subject.subject_id][face.face_id] = int(np.argmax(products))
    return found


@pytest.fixture
def filled(repository: FileRepository) -> FileRepository:
    repository.enroll("guests", "ada", with_crops(numbered("ada", 1, 2)))
    repository.enroll("guests", "bob", with_crops(numbered("bob", 3)))
    repository.enroll("staff", "ada", with_crops(numbered("ada", 9)))
    return repository


@pytest.mark.parametrize("sealed", [None, cipher(OLD)], ids=["plain", "encrypted"], indirect=True)
def test_every_face_gets_its_new_vector_and_all_else_stays(filled: FileRepository) -> None:
    filled.put_subject("guests", "ada", {"name": "Ada"}, consent="form 1")
    before = filled.gallery("guests")
    assert fill(filled) == 3
    status = filled.crop_status("guests")
    switched = filled.switch_model("guests", NEW_MODEL, embed)
    after = filled.gallery("guests")

    assert (status.faces, status.re_embedding and (status.re_embedding.model, status.re_embedding.done)) == (
        3,
        (NEW_MODEL, 3),
    )
    assert switched is not None
    assert switched.gallery == after
    assert (after.model, after.dimension, after.faces) == (NEW_MODEL, NEW_DIMENSION, 3)
    assert after.revision > before.revision
    assert people(filled) == {"ada": {"1": 1, "2": 2}, "bob": {"3": 3}}
    assert filled.subject("guests", "ada").metadata == {"name": "Ada"}
    assert filled.gallery("staff").model == MODEL
    assert filled.crop_status("guests").re_embedding is None
    assert {face.face_id: face.crop for face in filled.faces("guests", "ada", crops=True)} == {
        str(seed): crop_bytes(seed) for seed in (1, 2)
    }
    assert filled.check_integrity() == []
    assert AuditLog(filled.database).verify().fault is None
    *_, entry = AuditLog(filled.database).entries()
    assert (entry["action"], entry["model"], entry["earlier_model"], entry["faces"]) == (
        "gallery.switch_model",
        NEW_MODEL,
        MODEL,
        3,
    )


def erase_and_add_again(repository: FileRepository) -> None:
    repository.delete_subject("guests", "ada")
    repository.enroll("guests", "ada", with_crops(numbered("ada", 2)))


CHANGES: dict[str, tuple[Change, dict[str, dict[str, int]]]] = {
    "enrolled": (
        lambda repository: repository.enroll("guests", "eve", with_crops(numbered("eve", 0, 7))),
        {"ada": {"1": 1, "2": 2}, "bob": {"3": 3}, "eve": {"0": 0, "7": 7}},
    ),
    "face erased": (
        lambda repository: repository.delete_face("guests", "ada", "1"),
        {"ada": {"2": 2}, "bob": {"3": 3}},
    ),
    "subject erased": (lambda repository: repository.delete_subject("guests", "ada"), {"bob": {"3": 3}}),
    "renamed": (
        lambda repository: repository.update_subject("guests", "ada", "zoe"),
        {"bob": {"3": 3}, "zoe": {"1": 1, "2": 2}},
    ),
    "merged": (
        lambda repository: repository.merge_subjects("guests", "bob", "ada"),
        {"bob": {"1": 1, "2": 2, "3": 3}},
    ),
    "erased and added again": (
        lambda repository: erase_and_add_again(repository),
        {"ada": {"2": 2}, "bob": {"3": 3}},
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_changes_meanwhile_are_caught_up_with(filled: FileRepository, others: FileRepository, what: str) -> None:
    """The change comes after the first two faces are done, and between reading a crop and storing its vector."""
    change, expected = CHANGES[what]
    filled.begin_re_embedding("guests", NEW_MODEL, NEW_DIMENSION)
    done = filled.crops_to_embed("guests", "", 1)
    filled.add_new_vectors("guests", NEW_MODEL, done, embed(done))
    read = filled.crops_to_embed("guests", "", 9)
    change(others)
    filled.add_new_vectors("guests", NEW_MODEL, read, embed(read))
    fill(filled)
    assert filled.switch_model("guests", NEW_MODEL, embed) is not None

    assert people(filled) == expected
    assert filled.check_integrity() == []
    assert AuditLog(filled.database).verify().fault is None


def test_a_face_added_again_with_another_crop_gets_the_vector_of_that(filled: FileRepository) -> None:
    filled.begin_re_embedding("guests", NEW_MODEL, NEW_DIMENSION)
    read = filled.crops_to_embed("guests", "", 9)
    filled.delete_subject("guests", "bob")
    (face,) = numbered("bob", 3)
    filled.enroll("guests", "bob", [replace(face, crop=crop_bytes(30))])
    filled.add_new_vectors("guests", NEW_MODEL, read, embed(read))
    fill(filled)
    filled.switch_model("guests", NEW_MODEL, embed)

    assert people(filled)["bob"] == {"3": 30}


def test_the_last_few_are_embedded_in_the_switch_and_more_are_left_to_the_next_round(
    filled: FileRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(re_embedding_repository, "LAST_CROPS", 2)
    filled.begin_re_embedding("guests", NEW_MODEL, NEW_DIMENSION)

    assert filled.switch_model("guests", NEW_MODEL, embed) is None
    assert filled.gallery("guests").model == MODEL
    assert filled.switch_model("guests", NEW_MODEL, embed) is not None
    assert people(filled) == {"ada": {"1": 1, "2": 2}, "bob": {"3": 3}}


def test_faces_without_a_crop_prevent_the_switch_unless_they_are_to_be_erased(filled: FileRepository) -> None:
    filled.enroll("guests", "ada", numbered("ada", 4))
    filled.enroll("guests", "eve", numbered("eve", 5, 6))
    fill(filled)

    assert filled.faces_without_crop("guests") == {"ada": 1, "eve": 2}
    assert filled.switch_model("guests", NEW_MODEL, embed) is None
    assert filled.gallery("guests").model == MODEL
    switched = filled.switch_model("guests", NEW_MODEL, embed, drop_faces_without_crops=True)
    assert switched is not None
    assert (switched.erased, switched.gallery.faces) == (3, 3)
    assert people(filled) == {"ada": {"1": 1, "2": 2}, "bob": {"3": 3}, "eve": {}}
    erased = [entry["face"] for entry in AuditLog(filled.database).entries() if entry["action"] == "face.delete"]
    assert sorted(erased) == ["4", "5", "6"]


def test_a_search_follows_the_switch_and_never_compares_two_models(
    filled: FileRepository, others: FileRepository
) -> None:
    search = GallerySearch(others)
    search.load_indexes()
    earlier, later = Embedding(unit(3), MODEL), Embedding(new_unit(3), NEW_MODEL)
    _, (hit,) = search.search("guests", earlier, 1, 0.01)
    with pytest.raises(ModelMismatch):
        search.search("guests", later, 1, 0.01)
    fill(filled)
    filled.switch_model("guests", NEW_MODEL, embed)
    wait_until_known(others)
    search.update_indexes()
    _, (found,) = search.search("guests", later, 1, 4.0)

    assert (hit.face_id, found.face_id) == ("3", "3")
    assert found.pair.offset == pytest.approx(float(new_unit(3) @ unit(77, NEW_DIMENSION)) / 10, abs=1e-5)
    with pytest.raises(ModelMismatch):
        search.search("guests", earlier, 1, 4.0)
    with pytest.raises(ModelMismatch):
        others.enroll("guests", "eve", numbered("eve", 8))
    others.delete_face("guests", "ada", "1")
    _, hits = search.search("guests", Embedding(new_unit(1), NEW_MODEL), 9, 4.0)
    assert {each.subject_id: each.face_id for each in hits} == {"ada": "2", "bob": "3"}


@pytest.mark.only_sqlite
@pytest.mark.parametrize("sealed", [None], ids=["plain"], indirect=True)
def test_a_snapshot_from_before_the_switch_is_destroyed_and_its_copy_is_not_used(
    filled: FileRepository, path: Path
) -> None:
    search = GallerySearch(filled, snapshot_faces=1)
    search.load_indexes()
    search.save_snapshots()
    saved = {file: file.read_bytes() for file in path.parent.glob("*-index-[0-9]*")}
    fill(filled)
    filled.switch_model("guests", NEW_MODEL, embed)
    left = [file for file in saved if file.exists()]
    for file, content in saved.items():
        file.write_bytes(content)
    again = GallerySearch(filled, snapshot_faces=1)
    again.load_indexes()
    _, (found,) = again.search("guests", Embedding(new_unit(3), NEW_MODEL), 1, 4.0)

    assert (len(saved) > 0, left, found.face_id) == (True, [], "3")


def test_another_model_begins_anew_and_a_cancelled_one_takes_no_more(filled: FileRepository) -> None:
    fill(filled)
    third = "sha256:" + "c" * 64
    filled.begin_re_embedding("guests", third, DIMENSION)
    status = filled.crop_status("guests").re_embedding
    with pytest.raises(InvalidRequest, match="ended by another process"):
        filled.switch_model("guests", NEW_MODEL, embed)

    assert status is not None
    assert (status.model, status.done) == (third, 0)
    assert filled.cancel_re_embedding("guests", SYSTEM)
    assert not filled.cancel_re_embedding("guests", SYSTEM)
    assert filled.crop_status("guests").re_embedding is None
    with pytest.raises(InvalidRequest, match="ended by another process"):
        filled.add_new_vectors("guests", third, [], [])


def test_an_encrypted_gallery_gets_another_transform_and_may_be_rekeyed_meanwhile(
    filled: FileRepository,
) -> None:
    fill(filled)
    filled.rekey_gallery("guests")
    before = filled.gallery("guests").sealed_seed
    filled.switch_model("guests", NEW_MODEL, embed)
    gallery = filled.gallery("guests")
    with filled.database.reading() as db:
        row = db.execute("SELECT vector FROM faces WHERE id = ?", ("3",)).fetchone()
    _, changes = filled.changes_since("guests", None)
    stored = {face.face_id: face.vector for face in changes.added}

    assert gallery.sealed_seed not in (None, before)
    assert len(bytes(row["vector"])) > 4 * NEW_DIMENSION
    assert abs(float(stored["3"] @ new_unit(3))) < 0.99
    assert np.allclose(filled.transform(gallery).to_model(stored["3"]), new_unit(3), atol=1e-6)
