"""The statements on galleries, within one transaction."""

from __future__ import annotations

from dataclasses import replace

from app.audit import log as audit
from app.domain.clock import now
from app.domain.embeddings import Embedding
from app.domain.errors import InvalidRequest, ModelMismatch, NotFound
from app.domain.identity import Actor
from app.gallery import queries
from app.gallery.limits import check_id
from app.gallery.records import GalleryInfo
from app.gallery.statements import Statements


class GalleryStatements(Statements):
    def gallery(self, gallery_id: str) -> GalleryInfo:
        return self.find_gallery(queries.GALLERY, gallery_id)

    def uncounted_gallery(self, gallery_id: str) -> GalleryInfo:
        """Return the gallery without its counts, which are 0: to count a million rows takes longer than a search."""
        return self.find_gallery(queries.UNCOUNTED_GALLERY, gallery_id)

    def find_gallery(self, query: str, gallery_id: str) -> GalleryInfo:
        row = self.db.execute(f"{query} WHERE id = ?", (gallery_id,)).fetchone()
        if row is None:
            raise NotFound(f"no gallery {gallery_id!r}")
        return queries.gallery_info(row)

    def galleries(self) -> list[GalleryInfo]:
        return [queries.gallery_info(row) for row in self.db.execute(f"{queries.GALLERY} ORDER BY id")]

    def is_unchanged(self, known: GalleryInfo) -> bool:
        """Return whether the gallery is as it was; a new one of the same name has another number."""
        row = self.db.execute("SELECT number, revision, model FROM galleries WHERE id = ?", (known.id,)).fetchone()
        return row is not None and tuple(row) == (known.number, known.revision, known.model)

    def gallery_number(self, gallery_id: str) -> int:
        """Return the gallery's number without counting its subjects and faces."""
        row = self.db.execute("SELECT number FROM galleries WHERE id = ?", (gallery_id,)).fetchone()
        if row is None:
            raise NotFound(f"no gallery {gallery_id!r}")
        return int(row["number"])

    def create_gallery_if_missing(self, gallery_id: str, by: Actor) -> bool:
        """Return whether the gallery is new."""
        check_id(gallery_id)
        created = self.db.execute(
            # without the condition, every enrolment would use up a number of a gallery
            "INSERT INTO galleries (id, created_at) SELECT CAST(? AS TEXT), CAST(? AS TEXT) "
            "WHERE NOT EXISTS (SELECT 1 FROM galleries WHERE id = ?) ON CONFLICT DO NOTHING",
            (gallery_id, now(), gallery_id),
        )
        if created.rowcount > 0:
            number = self.gallery_number(gallery_id)
            seed = self.codec.new_seed(number)
            self.db.execute("UPDATE galleries SET sealed_seed = ? WHERE number = ?", (seed, number))
            audit.append(self.db, by, "gallery.create", gallery_id)
        return created.rowcount > 0

    def bind_to_model(self, gallery: GalleryInfo, embedding: Embedding) -> GalleryInfo:
        """
        Return the gallery, bound to the embedding's model and dimension by the first one.

        Raises ModelMismatch if another model filled it, or InvalidRequest if its vectors have another dimension.
        """
        model, dimension = embedding.model, len(embedding.vector)
        if (gallery.model, gallery.dimension) == (model, dimension):
            return gallery
        if gallery.model not in (None, model):
            raise ModelMismatch(f"gallery {gallery.id!r} was filled by model {gallery.model}, not {model}")
        if gallery.dimension not in (None, dimension):
            raise InvalidRequest(f"expected a vector of {gallery.dimension} numbers, got {dimension}")
        self.db.execute(
            "UPDATE galleries SET model = ?, dimension = ? WHERE number = ?", (model, dimension, gallery.number)
        )
        return replace(gallery, model=model, dimension=dimension)
