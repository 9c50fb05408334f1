"""Convert rows of the database to values and back; private values pass through a cipher."""

from __future__ import annotations

import json
import logging
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from app.domain.errors import InvalidRequest, ServiceError
from app.domain.models import Box, Embedding, Face, Floats, Landmarks, Quality, Template
from app.domain.ports import NoThresholdOffsets, ThresholdOffsets
from app.gallery.subject_keys import SubjectKeys
from app.gallery.template_transform import IDENTITY, SEED_BYTES, TemplateTransform, transform_of
from app.storage.cipher import Cipher, DecryptionError, UnknownKey
from app.storage.database import Row

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GalleryInfo:
    """
    `number` is the primary key, never used again; `model` and `dimension` are those of the first face enrolled.

    `sealed_seed` is the encrypted seed of the gallery's transform, or None if its vectors are stored as they are.
    """

    number: int
    id: str
    model: str | None
    dimension: int | None
    revision: int
    subjects: int
    faces: int
    created_at: str
    sealed_seed: bytes | None = field(default=None, repr=False, compare=False)

    def stores_vectors_as(self, other: GalleryInfo) -> bool:
        """Return whether the other is the same gallery, with the same transform."""
        return (self.number, self.sealed_seed) == (other.number, other.sealed_seed)


@dataclass(frozen=True, slots=True)
class SubjectInfo:
    subject_id: str
    metadata: Mapping[str, Any]
    faces: int
    created_at: str
    consent: str | None = None
    expires_at: str | None = None


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """A response saved under the caller's Idempotency-Key, with the digest of the request it answered."""

    key: str
    request_digest: str
    response: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SubjectFile:
    """Everything that is stored about one subject, which people have a right to see."""

    gallery: GalleryInfo
    subject: SubjectInfo
    faces: Sequence[Template]
    events: Sequence[Mapping[str, Any]]
    saved_responses: Sequence[IdempotencyRecord]


@dataclass(frozen=True, slots=True)
class ImportedSubject:
    """A line of an exported gallery."""

    subject_id: str
    metadata: Mapping[str, Any]
    faces: Sequence[Template]
    consent: str | None = None
    expires_at: str | None = None


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """
    A row that cannot be read, and why. Its kind says which of its ids are set.

    The kind `subject` is a subject of which nothing can be read, because its data key is missing. The kind `file` has
    no ids: SQLite itself found the file damaged.
    """

    kind: Literal["face", "metadata", "consent", "idempotency_key", "subject", "file"]
    problem: str
    gallery_id: str = ""
    subject_id: str = ""
    face_id: str = ""
    idempotency_key: str = ""

    def __str__(self) -> str:
        names = {"gallery": self.gallery_id, "subject": self.subject_id, "face": self.face_id}
        where = ", ".join(f"{name} {value!r}" for name, value in names.items() if value)
        what = {"idempotency_key": f"Idempotency-Key {self.idempotency_key!r}: "}
        return f"{where or 'database'}: {what.get(self.kind, '')}{self.problem}"


@dataclass(frozen=True, slots=True, eq=False)
class StoredVector:
    """A face as an index keeps it."""

    face_id: str
    subject_id: str
    vector: Floats
    threshold_offset: float = 0.0


@dataclass(frozen=True, slots=True)
class GalleryChanges:
    """The changes after a revision: faces added (that still exist), ids removed, and added faces that are damaged."""

    revision: int
    added: Sequence[StoredVector]
    removed: Sequence[str]
    damaged: Sequence[DamagedRow]


class DamagedValue(ServiceError):
    """A stored value cannot be decrypted, or is not what its column holds."""


# Private values are read with CAST, because SQLite keeps any type in any column, and a damaged row may hold one.
GALLERY = """SELECT number, id, model, dimension, revision, created_at, CAST(sealed_seed AS BLOB) AS sealed_seed,
    (SELECT count(*) FROM subjects WHERE gallery = number) AS subjects,
    (SELECT count(*) FROM faces WHERE gallery = number) AS faces FROM galleries"""
SUBJECT = """SELECT id, CAST(metadata AS BLOB) AS metadata, CAST(consent AS BLOB) AS consent, created_at, expires_at,
    key_slot, (SELECT count(*) FROM faces WHERE faces.gallery = subjects.gallery AND subject = subjects.id) AS faces
    FROM subjects"""
METADATA = "SELECT id, CAST(metadata AS BLOB) AS metadata, CAST(consent AS BLOB) AS consent, key_slot FROM subjects"
FACE_COLUMNS = "gallery, subject, id, vector, detection, revision, enrolled_at"
_KEY_SLOT = "(SELECT key_slot FROM subjects WHERE subjects.gallery = {0}.gallery AND subjects.id = {0}.subject)"
FACE = f"""SELECT subject, id, CAST(vector AS BLOB) AS vector, CAST(detection AS BLOB) AS detection, enrolled_at,
    {_KEY_SLOT.format("faces")} AS key_slot FROM faces"""
RESPONSE = f"""SELECT subject, key, request_digest, CAST(response AS BLOB) AS response,
    {_KEY_SLOT.format("idempotency_keys")} AS key_slot FROM idempotency_keys"""

ID_PATTERN = r"^[^\x00-\x1f\x7f]{1,128}$"


def check_id(identifier: str) -> None:
    """Raises InvalidRequest unless the text can be the id of a gallery or a subject."""
    if not re.fullmatch(ID_PATTERN, identifier):
        raise InvalidRequest(f"expected an id of 1 to 128 characters without control characters, got {identifier!r}")


def gallery_info(row: Row) -> GalleryInfo:
    return GalleryInfo(**dict(row))


def detection_to_json(template: Template) -> dict[str, Any]:
    face, quality = template.face, template.quality
    return {
        "box": [face.box.left, face.box.top, face.box.right, face.box.bottom],
        "landmarks": face.landmarks.points.tolist(),
        "confidence": face.confidence,
        "rotated": face.rotated,
        "quality": [quality.size, quality.sharpness, quality.frontality, quality.inside],
    }


def detection_from_json(document: Mapping[str, Any]) -> tuple[Face, Quality]:
    """Raises KeyError, TypeError, ValueError or OverflowError if it is not what `detection_to_json` makes."""
    landmarks = Landmarks(np.asarray(document["landmarks"], np.float32))
    box, quality = [[_finite(number) for number in document[name]] for name in ("box", "quality")]
    rotated = int(document.get("rotated", 0))
    return Face(Box(*box), landmarks, _finite(document["confidence"]), rotated=rotated), Quality(*quality)


def _finite(number: Any) -> float:
    if not math.isfinite(value := float(number)):
        raise ValueError(f"expected a finite number, got {value}")
    return value


def vector_problem(data: bytes, dimension: int | None = None) -> str | None:
    """Say why `data` is not a float32 unit vector (of `dimension` numbers, if given); None if it is one."""
    if len(data) % np.dtype(np.float32).itemsize:
        return f"expected a float32 vector, got {len(data)} bytes"
    vector = np.frombuffer(data, np.float32)
    if dimension is not None and len(vector) != dimension:
        return f"expected a vector of {dimension} numbers, got {len(vector)}"
    with np.errstate(all="ignore"):  # damaged bytes may be any numbers
        length = float(np.linalg.norm(vector))
    return None if abs(length - 1) < 1e-3 else f"expected a vector of length 1, got length {length:.4f}"


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

    def transform(self, gallery: GalleryInfo) -> TemplateTransform:
        """Return what turns the model's own vectors into the stored ones of the gallery, and back."""
        if gallery.sealed_seed is None or gallery.dimension is None:
            return IDENTITY
        seed = self._decrypt(self.keys.master, gallery.sealed_seed, aad("seed", gallery.number), "seed")
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
        stored = self.transform(gallery).to_stored(template.embedding.vector)
        vector = cipher.encrypt(stored.tobytes(), aad("vector", *ids))
        detection = _encrypt_json(cipher, detection_to_json(template), aad("detection", *ids))
        return *ids, vector, detection, revision, template.enrolled_at

    def template(self, gallery: GalleryInfo, row: Row) -> Template:
        """Return the template with the model's own vector."""
        ids = (gallery.number, row["subject"], row["id"])
        document = self._decrypt_json(
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
        data = self._decrypt(self._cipher(gallery.number, row, "subject"), row["vector"], aad("vector", *ids), "vector")
        if problem := vector_problem(data, gallery.dimension or 0):
            raise DamagedValue(f"vector: {problem}")
        return np.frombuffer(data, np.float32)

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
        return self._decrypt_object(cipher, row["metadata"], aad("metadata", gallery_number, row["id"]), "metadata")

    def encrypt_metadata(
        self, gallery_number: int, subject_id: str, metadata: Mapping[str, Any], cipher: Cipher
    ) -> bytes:
        return _encrypt_json(cipher, metadata, aad("metadata", gallery_number, subject_id))

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
        consent = self._decrypt_json(cipher, row["consent"], aad("consent", gallery_number, row["id"]), "consent")
        if not isinstance(consent, str):
            raise DamagedValue(f"consent: expected text, got {type(consent).__name__}")
        return consent

    def encrypt_consent(self, gallery_number: int, subject_id: str, consent: str, cipher: Cipher) -> bytes:
        return _encrypt_json(cipher, consent, aad("consent", gallery_number, subject_id))

    def response(self, gallery_number: int, row: Row) -> Mapping[str, Any]:
        cipher, ids = self._cipher(gallery_number, row, "subject"), (gallery_number, row["subject"], row["key"])
        return self._decrypt_object(cipher, row["response"], aad("response", *ids), "response")

    def encrypt_response(
        self, gallery_number: int, subject_id: str, record: IdempotencyRecord, cipher: Cipher
    ) -> bytes:
        return _encrypt_json(cipher, record.response, aad("response", gallery_number, subject_id, record.key))

    def _cipher(self, gallery_number: int, row: Row, subject_column: str) -> Cipher:
        return self.subject_cipher(gallery_number, row[subject_column], row["key_slot"])

    def _decrypt_object(self, cipher: Cipher, stored: bytes, value_aad: str, column: str) -> Mapping[str, Any]:
        document = self._decrypt_json(cipher, stored, value_aad, column)
        if not isinstance(document, dict):
            raise DamagedValue(f"{column}: expected a JSON object, got {type(document).__name__}")
        return document

    def _decrypt_json(self, cipher: Cipher, stored: bytes, value_aad: str, column: str) -> Any:
        data = self._decrypt(cipher, stored, value_aad, column)
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise DamagedValue(f"{column}: not JSON") from error

    def _decrypt(self, cipher: Cipher, stored: bytes, value_aad: str, column: str) -> bytes:
        try:
            return cipher.decrypt(stored, value_aad)
        except UnknownKey as error:
            raise DamagedValue(f"{column}: a value was changed or moved, or is of an earlier data key") from error
        except DecryptionError as error:
            raise DamagedValue(f"{column}: {error}") from error


def _encrypt_json(cipher: Cipher, value: Any, value_aad: str) -> bytes:
    return cipher.encrypt(json.dumps(value).encode(), value_aad)


_AAD_LABELS = {"response": "answer"}  # under which values were encrypted before the column had its present name


def aad(column: str, *ids: object) -> str:
    """The additional authenticated data of a value: its column and the ids of its row, quoted by JSON."""
    return json.dumps([_AAD_LABELS.get(column, column), *ids])
