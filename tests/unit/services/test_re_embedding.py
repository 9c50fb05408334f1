"""The vectors of another model are made from the kept crops until none is missing; what cannot be made is told."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from app.cli.gallery.re_embed import _fill_and_switch
from app.domain.embeddings import Embedding
from app.domain.errors import InferenceFailed
from app.domain.faces import AlignedCrop
from app.domain.identity import SYSTEM
from app.gallery import re_embedding_repository
from app.gallery.records import DamagedValue
from app.gallery.repository import GalleryRepository
from app.images.crops import encode_crop
from app.services.re_embedding import ReEmbedding
from tests.support.fakes import FAKE_MODEL, FakeEmbedder
from tests.support.repository import FileRepository
from tests.support.templates import crop_bytes, numbered

CROP = encode_crop(np.full((112, 112, 3), 85, np.uint8))


def enroll(repository: GalleryRepository, crop: bytes, *seeds: int) -> None:
    repository.enroll("guests", "ada", [replace(each, crop=crop) for each in numbered("ada", *seeds)])


def re_embedding(repository: GalleryRepository, embedder: FakeEmbedder, dimension: int = 2) -> ReEmbedding:
    return ReEmbedding(repository, "guests", embedder, dimension, SYSTEM)


@pytest.mark.parametrize(
    ("crop", "dimension", "error", "message"),
    [
        (CROP, 3, InferenceFailed, "expected .*3.*, got .*2"),
        (b"no JPEG", 2, DamagedValue, "face '1': crop: not a JPEG; `likeness gallery repair` removes such crops"),
        (crop_bytes(1), 2, DamagedValue, "face '1'.*the crop is no picture.*: delete the face, and enrol the person"),
    ],
    ids=["another dimension", "no JPEG", "no picture"],
)
def test_a_vector_that_cannot_be_used_or_made_ends_the_filling(
    path: Path, crop: bytes, dimension: int, error: type[Exception], message: str
) -> None:
    with closing(FileRepository(path)) as repository:
        enroll(repository, crop, 1)
        with pytest.raises(error, match=message):
            list(re_embedding(repository, FakeEmbedder(), dimension).fill())


@dataclass(frozen=True)
class EnrollingEmbedder(FakeEmbedder):
    """Enrols more faces, with ids before those that were filled already, when it is used for the first time."""

    repository: GalleryRepository | None = None

    def embed(self, crops: Sequence[AlignedCrop]) -> list[Embedding]:
        if self.repository and not self.batches:
            enroll(self.repository, CROP, 10, 11, 12)
        return super().embed(crops)


def test_faces_that_are_enrolled_meanwhile_are_filled_in_another_round(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(re_embedding_repository, "LAST_CROPS", 2)
    with closing(FileRepository(path)) as repository, closing(FileRepository(path)) as others:
        enroll(repository, CROP, 7, 8)
        embedder = EnrollingEmbedder(repository=others)
        task = re_embedding(repository, embedder)
        switched = asyncio.run(_fill_and_switch(repository, "guests", task, drop=False, no_switch=False))

        assert switched is not None
        assert (switched.gallery.model, switched.gallery.faces, switched.erased) == (FAKE_MODEL, 5, 0)
        assert embedder.batches == [2, 2, 1]
        assert repository.check_integrity() == []
