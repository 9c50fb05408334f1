"""Give a gallery the vectors of another model, made from its kept crops, while the service uses the present ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.domain.arrays import Floats
from app.domain.embeddings import vector_problem
from app.domain.errors import InferenceFailed
from app.domain.faces import AlignedCrop
from app.domain.identity import Actor
from app.domain.ports import Embedder
from app.gallery.re_embedding_repository import Switched
from app.gallery.records import DamagedRow, DamagedValue, KeptCrop
from app.gallery.repository import GalleryRepository
from app.images.crops import decode_crop

BATCH = 64
"""Crops of one transaction: the disk is waited for once, and others wait little for the lock of writers."""


class ReEmbedding:
    """May be interrupted at any moment; another one for the same gallery and model goes on where it stopped."""

    def __init__(
        self, repository: GalleryRepository, gallery_id: str, embedder: Embedder, dimension: int, by: Actor
    ) -> None:
        """`dimension` is that of the embedder's vectors."""
        self._repository, self._gallery_id, self._by = repository, gallery_id, by
        self._embedder, self._dimension = embedder, dimension

    def is_done(self) -> bool:
        """Return whether the gallery has the model's vectors, or no face whose vector could be replaced."""
        return self._repository.gallery(self._gallery_id).model in (None, self._embedder.model)

    def fill(self) -> Iterator[int]:
        """Make the new vectors that are missing, and yield the number of faces after each transaction."""
        self._repository.begin_re_embedding(self._gallery_id, self._embedder.model, self._dimension, self._by)
        after = ""
        while crops := self._repository.crops_to_embed(self._gallery_id, after, BATCH):
            yield self._repository.add_new_vectors(
                self._gallery_id, self._embedder.model, crops, self._embed(crops), self._by
            )
            after = crops[-1].face_id

    def switch(self, *, drop_faces_without_crops: bool) -> Switched | None:
        """Use the new vectors from now on; None if there is more to fill, or faces have no crop and are to stay."""
        return self._repository.switch_model(
            self._gallery_id,
            self._embedder.model,
            self._embed,
            self._by,
            drop_faces_without_crops=drop_faces_without_crops,
        )

    def _embed(self, crops: Sequence[KeptCrop]) -> list[Floats]:
        vectors = [each.vector for each in self._embedder.embed([self._decoded(crop) for crop in crops])]
        for vector in vectors:
            if problem := vector_problem(vector, self._dimension):
                raise InferenceFailed(problem)
        return vectors

    def _decoded(self, crop: KeptCrop) -> AlignedCrop:
        try:
            return AlignedCrop(decode_crop(crop.jpeg), inside=1.0)
        except ValueError as error:
            row = DamagedRow("crop", f"the crop is no picture ({error})", self._gallery_id, face_id=crop.face_id)
            raise DamagedValue(f"{row}: delete the face, and enrol the person again") from error
