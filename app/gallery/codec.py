"""Convert rows of the database to values and back; private values pass through a cipher."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from app.domain.arrays import Floats
from app.domain.embeddings import Embedding, Template
from app.domain.ports import NoThresholdOffsets, ThresholdOffsets
from app.gallery.face_json import detection_from_json, detection_to_json, stored_vector_problem
from app.gallery.records import DamagedValue, GalleryInfo, IdempotencyRecord, SubjectInfo
from app.gallery.sealed_values import aad, decrypt, decrypt_json, decrypt_object, encrypt_json
from app.gallery.subject_keys import SubjectKeys
from app.gallery.template_transform import IDENTITY, SEED_BYTES, TemplateTransform, transform_of
from app.storage.cipher import Cipher, DecryptionError
from app.storage.database import Row

log = logging.getLogger(__name__)

_JPEG = b"\xff\xd8"


class RowCodec:
    """
    Encodes private values into a row and decodes them out of it. A value that cannot be read raises DamagedValue.

    Rows have the slot of the data key of their subject; to encode, the cipher of the subject is given.
    """

    def __init__(self, keys: SubjectKeys, offsets: ThresholdOffsets | None = None) -> None:
        self.keys, self._offsets = keys, offsets or NoThresholdOffsets()

    def with_offsets(self, gallery: GalleryInfo, templates: Sequence[Template]) -> list[Template]:
        """Return the templates with the threshold offsets of their vectors."""
        offsets = self.offsets(gallery, [template.embedding.vector for template in templates])
        return [
            replace(template, embedding=replace(template.embedding, threshold_offset=offset))
            for template, offset in zip(templates, offsets, strict=True)
        ]

    def offsets(self, gallery: GalleryInfo, vectors: Sequence[Floats]) -> list[float]:
        """
        Return the threshold offset of each vector, which must be as the model made it; 0 for those of another model.

        Offsets are not stored, so that a model folder with other offsets applies them from its next start.
        """
        if not vectors or gallery.model != self._offsets.model:
            return [0.0] * len(vectors)
        return [float(offset) for offset in self._offsets.of(np.stack(vectors))]

    def offsets_digest(self, gallery: GalleryInfo) -> str:
        """Return the digest of what computes the gallery's offsets; empty if all are 0."""
        return self._offsets.digest if gallery.model == self._offsets.model else ""

    def transform(self, gallery: GalleryInfo) -> TemplateTransform:
        """Return what turns the model's own vectors into the stored ones of the gallery, and back."""
        if gallery.sealed_seed is None or gallery.dimension is None:
            return IDENTITY
        seed = decrypt(self.keys.master, gallery.sealed_seed, aad("seed", gallery.number), "seed")
        return transform_of(seed, gallery.dimension)

    def new_seed(self, gallery_number: int) -> bytes | None:
        """Return an encrypted random seed for the gallery's transform; None without encryption."""
        if not self.keys.enabled:
            return None
        return self.keys.master.encrypt(os.urandom(SEED_BYTES), aad("seed", gallery_number))

    def subject_cipher(self, gallery_number: int, subject_id: str, slot: int | None) -> Cipher:
        try:
            return self.keys.cipher(gallery_number, subject_id, slot)
        except DecryptionError as error:
            raise DamagedValue(str(error)) from error

    def face_row(self, gallery: GalleryInfo, template: Template, revision: int, cipher: Cipher) -> tuple[Any, ...]:
        """Return the values of FACE_COLUMNS."""
        ids = (gallery.number, template.subject_id, template.face_id)
        vector = self.encrypt_vector(gallery, template.subject_id, template.face_id, template.embedding.vector, cipher)
        detection = encrypt_json(cipher, detection_to_json(template), aad("detection", *ids))
        return *ids, vector, detection, revision, template.enrolled_at

    def template(self, gallery: GalleryInfo, row: Row) -> Template:
        """Return the template with the model's own vector."""
        ids = (gallery.number, row["subject"], row["id"])
        document = decrypt_json(
            self._cipher(gallery.number, row, "subject"), row["detection"], aad("detection", *ids), "detection"
        )
        try:
            face, quality = detection_from_json(document)
        except (KeyError, TypeError, ValueError, OverflowError) as error:  # their texts would show the values
            raise DamagedValue(f"detection: not a detected face ({type(error).__name__})") from error
        vector = self.transform(gallery).to_model(self.stored_vector(gallery, row))
        embedding = Embedding(vector, gallery.model or "")
        return Template(row["id"], row["subject"], embedding, face, quality, row["enrolled_at"])

    def stored_vector(self, gallery: GalleryInfo, row: Row) -> Floats:
        """Return the vector as the gallery stores and searches it."""
        ids = (gallery.number, row["subject"], row["id"])
        value_aad = aad("vector", *ids) if self.keys.enabled else ""  # a million take seconds
        data = decrypt(self._cipher(gallery.number, row, "subject"), row["vector"], value_aad, "vector")
        if problem := stored_vector_problem(data, gallery.dimension or 0):
            raise DamagedValue(f"vector: {problem}")
        return np.frombuffer(data, np.float32)

    def crop_row(self, gallery: GalleryInfo, template: Template, cipher: Cipher) -> tuple[Any, ...]:
        """Return the values of a row of `crops`."""
        ids = (gallery.number, template.subject_id, template.face_id)
        return *ids, cipher.encrypt(template.crop or b"", aad("crop", *ids))

    def crop(self, gallery: GalleryInfo, row: Row) -> bytes:
        ids = (gallery.number, row["subject"], row["face"])
        jpeg = decrypt(self._cipher(gallery.number, row, "subject"), row["crop"], aad("crop", *ids), "crop")
        if not jpeg.startswith(_JPEG):
            raise DamagedValue("crop: not a JPEG")
        return jpeg

    def new_vector_row(
        self, gallery: GalleryInfo, subject_id: str, face_id: str, vector: Floats, cipher: Cipher
    ) -> tuple[Any, ...]:
        """Return the values of a row of `new_vectors`, which has the vector as the model makes it."""
        ids = (gallery.number, subject_id, face_id)
        return *ids, cipher.encrypt(vector.tobytes(), aad("new_vector", *ids))

    def new_vector(self, gallery: GalleryInfo, row: Row, dimension: int) -> Floats:
        ids = (gallery.number, row["subject"], row["face"])
        cipher = self._cipher(gallery.number, row, "subject")
        data = decrypt(cipher, row["new_vector"], aad("new_vector", *ids), "new_vector")
        if problem := stored_vector_problem(data, dimension):
            raise DamagedValue(f"new_vector: {problem}")
        return np.frombuffer(data, np.float32)

    def encrypt_vector(
        self, gallery: GalleryInfo, subject_id: str, face_id: str, vector: Floats, cipher: Cipher
    ) -> bytes:
        """Encrypt a vector of the gallery's model as the gallery stores it."""
        stored = self.transform(gallery).to_stored(vector)
        return cipher.encrypt(stored.tobytes(), aad("vector", gallery.number, subject_id, face_id))

    def subject(self, gallery_number: int, row: Row) -> SubjectInfo:
        metadata, consent = self.metadata_or_empty(gallery_number, row), self.consent_or_none(gallery_number, row)
        return SubjectInfo(row["id"], metadata, row["faces"], row["created_at"], consent, row["expires_at"])

    def metadata_or_empty(self, gallery_number: int, row: Row) -> Mapping[str, Any]:
        """Return the metadata; damaged metadata is logged and empty, so that its subject can be found and deleted."""
        try:
            return self.metadata(gallery_number, row)
        except DamagedValue as error:
            log.warning("metadata of subject %r is damaged and left out: %s", row["id"], error)
            return {}

    def metadata(self, gallery_number: int, row: Row) -> Mapping[str, Any]:
        cipher = self._cipher(gallery_number, row, "id")
        return decrypt_object(cipher, row["metadata"], aad("metadata", gallery_number, row["id"]), "metadata")

    def encrypt_metadata(
        self, gallery_number: int, subject_id: str, metadata: Mapping[str, Any], cipher: Cipher
    ) -> bytes:
        return encrypt_json(cipher, metadata, aad("metadata", gallery_number, subject_id))

    def consent_or_none(self, gallery_number: int, row: Row) -> str | None:
        """Return the consent reference; a damaged one is logged and left out, as metadata are."""
        try:
            return self.consent(gallery_number, row)
        except DamagedValue as error:
            log.warning("consent of subject %r is damaged and left out: %s", row["id"], error)
            return None

    def consent(self, gallery_number: int, row: Row) -> str | None:
        if row["consent"] is None:
            return None
        cipher = self._cipher(gallery_number, row, "id")
        consent = decrypt_json(cipher, row["consent"], aad("consent", gallery_number, row["id"]), "consent")
        if not isinstance(consent, str):
            raise DamagedValue(f"consent: expected text, got {type(consent).__name__}")
        return consent

    def encrypt_consent(self, gallery_number: int, subject_id: str, consent: str, cipher: Cipher) -> bytes:
        return encrypt_json(cipher, consent, aad("consent", gallery_number, subject_id))

    def response(self, gallery_number: int, row: Row) -> Mapping[str, Any]:
        cipher, ids = self._cipher(gallery_number, row, "subject"), (gallery_number, row["subject"], row["key"])
        return decrypt_object(cipher, row["response"], aad("response", *ids), "response")

    def encrypt_response(
        self, gallery_number: int, subject_id: str, record: IdempotencyRecord, cipher: Cipher
    ) -> bytes:
        return encrypt_json(cipher, record.response, aad("response", gallery_number, subject_id, record.key))

    def _cipher(self, gallery_number: int, row: Row, subject_column: str) -> Cipher:
        return self.subject_cipher(gallery_number, row[subject_column], row["key_slot"])
