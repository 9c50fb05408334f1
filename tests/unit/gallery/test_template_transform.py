"""A secret rotation: distances stay, vectors of two galleries have nothing in common, and it can be replaced."""

import base64
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.audit.log import AuditLog
from app.domain.arrays import Floats
from app.domain.embeddings import Embedding
from app.domain.errors import InvalidRequest
from app.domain.identity import Actor
from app.gallery.import_export import export_gallery
from app.gallery.repository import GalleryRepository
from app.gallery.search import GallerySearch
from app.gallery.template_transform import IDENTITY, SEED_BYTES, TemplateTransform, transform_of
from tests.support.repository import FileRepository
from tests.support.templates import MODEL, numbered, template, unit
from tests.unit.gallery.encrypting import DIMENSION, OLD, cipher, opened
from tests.unit.gallery.guests import contents

SEEDS, DIMENSIONS = st.binary(min_size=SEED_BYTES, max_size=SEED_BYTES), st.sampled_from([1, 2, 8, 128])
BOUND = 2e-6
"""By how much a distance in [0, 4] may differ after the transform; docs/architecture.md states it."""
GOLDEN = [[-0.4705128, 0.1021697, 0.8764583], [-0.8778539, -0.1548202, -0.4532144], [-0.0893887, 0.9826455, -0.162535]]
"""Made with NumPy 2.4.6. Another matrix would make every stored vector wrong."""


@pytest.fixture
def encrypted(path: Path) -> Iterator[FileRepository]:
    with opened(path, cipher(OLD)) as repository:
        for gallery in ("guests", "staff"):
            repository.enroll(gallery, "ada", [template("1", "ada", unit(1, DIMENSION))])
            repository.enroll(gallery, "bob", [template("2", "bob", unit(2, DIMENSION))])
        yield repository


def stored(repository: FileRepository, gallery: str) -> dict[str, Floats]:
    """Return the vectors that are stored, by face."""
    _, changes = repository.changes_since(gallery, None)
    return {face.face_id: face.vector for face in changes.added}


def nearest(search: GallerySearch, gallery: str, seed: int) -> tuple[str, float]:
    _, (hit,) = search.search(gallery, Embedding(unit(seed, DIMENSION), MODEL), 1, 4.0)
    return hit.face_id, hit.pair.distance.squared_l2


@settings(max_examples=30)
@example(seed=bytes(SEED_BYTES), dimension=512)
@given(seed=SEEDS, dimension=DIMENSIONS)
def test_the_matrix_is_orthogonal(seed: bytes, dimension: int) -> None:
    matrix = transform_of(seed, dimension).matrix
    assert matrix is not None

    assert matrix.dtype == np.float32
    assert not matrix.flags.writeable
    assert np.abs(matrix.astype(np.float64) @ matrix.T - np.eye(dimension)).max() < 1e-6


@settings(max_examples=50)
@example(seed=bytes(SEED_BYTES), dimension=512, one=1, other=2, closeness=0.0)
@given(
    seed=SEEDS,
    dimension=DIMENSIONS,
    one=st.integers(0, 999),
    other=st.integers(1000, 1999),
    closeness=st.sampled_from([0.0, 1.0, 100.0]),
)
def test_distances_stay_and_the_transform_can_be_undone(
    seed: bytes, dimension: int, one: int, other: int, closeness: float
) -> None:
    transform, x, y = transform_of(seed, dimension), unit(one, dimension), unit(other, dimension)
    mixed = closeness * x + y
    y = np.asarray(mixed / max(1e-6, float(np.linalg.norm(mixed))), np.float32)
    before, after = (float(np.sum((u.astype(np.float64) - v) ** 2)) for u, v in ((x, y), _both(transform, x, y)))

    assert abs(before - after) < BOUND
    assert np.abs(transform.to_model(transform.to_stored(x)) - x).max() < 1e-6


def _both(transform: TemplateTransform, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    return transform.to_stored(x), transform.to_stored(y)


def test_a_seed_gives_the_same_matrix_on_every_machine_and_in_every_version() -> None:
    matrix = transform_of(bytes(range(32)), 3).matrix

    assert matrix is not None
    np.testing.assert_allclose(matrix, GOLDEN, atol=1e-6)


def test_matrices_are_distributed_like_the_rotations_and_reflections() -> None:
    matrices = [transform_of(number.to_bytes(SEED_BYTES), 3).matrix for number in range(2000)]
    entries = np.array([matrix for matrix in matrices if matrix is not None])

    assert np.abs(entries.mean(0)).max() < 5 * (1 / 3 / 2000) ** 0.5
    assert np.abs((entries**2).mean(0) - 1 / 3).max() < 0.04
    assert 0.4 < (np.linalg.det(entries) > 0).mean() < 0.6


def test_one_photo_in_two_galleries_is_stored_as_vectors_with_nothing_in_common(path: Path) -> None:
    dimension, galleries = 128, [f"gallery {number}" for number in range(12)]
    with opened(path, cipher(OLD)) as repository:
        for gallery in galleries:
            repository.enroll(gallery, "ada", [template("1", "ada", unit(1, dimension))])
        vectors = np.stack([stored(repository, gallery)["1"] for gallery in galleries])
    cosines = (vectors @ vectors.T)[np.triu_indices(len(galleries), 1)]

    assert np.abs(cosines).max() < 4 / np.sqrt(dimension)
    assert np.abs(vectors @ unit(1, dimension)).max() < 4 / np.sqrt(dimension)


def test_without_encryption_the_model_s_own_vectors_are_stored_and_there_is_nothing_to_replace(
    repository: FileRepository,
) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1))

    assert stored(repository, "guests")["1"].tobytes() == unit(1).tobytes()
    assert repository.transform(repository.gallery("guests")) is IDENTITY
    with pytest.raises(InvalidRequest, match="only an encrypted gallery has a secret transform"):
        repository.rekey_gallery("guests")


def test_answers_and_exports_have_the_model_s_own_vectors(encrypted: FileRepository, file: Path) -> None:
    (face,) = encrypted.faces("guests", "ada")
    export_gallery(encrypted, "guests", file)
    exported = file.read_text().split('"vector": "')[1].split('"')[0]

    assert np.abs(face.embedding.vector - unit(1, DIMENSION)).max() < 1e-6
    assert np.abs(np.frombuffer(base64.b64decode(exported), np.float32) - unit(1, DIMENSION)).max() < 1e-6


def test_a_new_transform_replaces_every_stored_vector_and_nothing_else(encrypted: FileRepository, path: Path) -> None:
    before, kept, staff = stored(encrypted, "guests"), contents(encrypted, "guests"), stored(encrypted, "staff")
    revision, done = encrypted.gallery("guests").revision, list[int]()
    encrypted.rekey_gallery("guests", Actor("cli:ada"), done.append)
    after = stored(encrypted, "guests")
    last = AuditLog(encrypted.database).entries()[-1]

    assert before.keys() == after.keys()
    assert all(abs(float(before[face] @ after[face])) < 4 / np.sqrt(DIMENSION) for face in before)
    assert contents(encrypted, "guests") == kept
    assert all((stored(encrypted, "staff")[face] == vector).all() for face, vector in staff.items())
    assert (last["action"], last["by"], last["faces"]) == ("gallery.rekey", "cli:ada", 2)
    assert (encrypted.gallery("guests").revision, done) == (revision + 1, [1, 2])
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(DISTINCT sealed_seed) FROM galleries").fetchone() == (2,)


def test_searches_of_every_process_follow_a_new_transform(encrypted: FileRepository, path: Path) -> None:
    with opened(path, cipher(OLD)) as other:
        searches = [GallerySearch(encrypted), GallerySearch(other)]
        found = [nearest(search, "guests", 1) for search in searches]
        for _ in range(2):
            encrypted.rekey_gallery("guests")
            found += [nearest(search, "guests", 1) for search in searches]
        encrypted.enroll("guests", "eve", [template("3", "eve", unit(3, DIMENSION))])
        found += [(nearest(search, "guests", 3)[0], 0.0) for search in searches]

    assert [face for face, _ in found] == ["1"] * 6 + ["3"] * 2
    assert max(distance for _, distance in found) < BOUND


def test_a_damaged_face_stays_as_it_is_and_is_named_after_a_new_transform(
    encrypted: FileRepository, path: Path
) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE faces SET vector = zeroblob(99) WHERE id = '1' AND gallery = 1")
    before = encrypted.check_integrity()
    encrypted.rekey_gallery("guests")

    assert [row.face_id for row in before] == ["1"]
    assert encrypted.check_integrity() == before
    assert nearest(GallerySearch(encrypted), "guests", 2)[0] == "2"


class _FirstNumber:
    """Gives each face the first number of its vector as its threshold offset."""

    model = MODEL
    digest = "first"

    def of(self, vectors: Floats) -> Floats:
        return np.asarray(vectors[:, 0], np.float32)


def test_threshold_offsets_are_computed_from_the_model_s_own_vectors(encrypted: FileRepository) -> None:
    with_offsets = GalleryRepository(encrypted.database, cipher(OLD), offsets=_FirstNumber())
    _, changes = with_offsets.changes_since("guests", None)
    expected = [float(unit(seed, DIMENSION)[0]) for seed in (1, 2)]

    assert [face.threshold_offset for face in changes.added] == pytest.approx(expected, abs=1e-6)
