"""How much a gallery may hold. Checked in the transaction that adds it, so that concurrent ones cannot exceed it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.errors import InvalidRequest, MetadataTooLarge
from app.gallery.records import GalleryInfo
from app.storage.database import Connection

ID_PATTERN = r"^[^\x00-\x1f\x7f]{1,128}$"
MAX_CONSENT = 256
MAX_DEPTH = 32
_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character, which JSON can write as an escape and no database can store."""


def check_id(identifier: str) -> None:
    """Raises InvalidRequest unless the text can be the id of a gallery or a subject."""
    if not re.fullmatch(ID_PATTERN, identifier) or _SURROGATE.search(identifier):
        raise InvalidRequest(f"expected an id of 1 to 128 characters without control characters, got {identifier!r}")


def check_serializable(metadata: dict[str, Any]) -> dict[str, Any]:
    """Raises ValueError for what a later answer could not contain: NaN, lone surrogates, very deep nesting."""
    _check_depth(metadata, MAX_DEPTH)
    try:
        json.dumps(metadata, allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("expected text that can be written in UTF-8, got half a character") from None
    except ValueError:
        raise ValueError("expected finite numbers, got NaN or infinity") from None
    return metadata


def _check_depth(value: Any, levels: int) -> None:
    if levels < 0:
        raise ValueError(f"expected at most {MAX_DEPTH} levels of nesting, got more")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        _check_depth(each, levels - 1)


def check_consent(consent: str) -> None:
    """Raises InvalidRequest."""
    if len(consent) > MAX_CONSENT:
        raise InvalidRequest(f"expected a consent reference of at most {MAX_CONSENT} characters, got {len(consent)}")
    if _SURROGATE.search(consent):
        raise InvalidRequest("expected a consent reference that can be written in UTF-8, got half a character")


@dataclass(frozen=True, slots=True)
class GalleryLimits:
    """0 is no limit."""

    metadata_bytes: int = 0
    faces_per_subject: int = 0
    subjects_per_gallery: int = 0
    faces_per_gallery: int = 0

    def check_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Raises MetadataTooLarge."""
        size = len(json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode())
        if 0 < self.metadata_bytes < size:
            raise MetadataTooLarge(f"expected at most {self.metadata_bytes} bytes of metadata, got {size}")

    def check_subjects(self, db: Connection, gallery: GalleryInfo) -> None:
        """Raises InvalidRequest."""
        if self.subjects_per_gallery:
            count = _count(db, "SELECT count(*) FROM subjects WHERE gallery = ?", gallery.number)
            _require(count, self.subjects_per_gallery, f"subjects in gallery {gallery.id!r}")

    def check_faces(self, db: Connection, gallery: GalleryInfo, subject_ids: Collection[str]) -> None:
        """Raises InvalidRequest if the gallery or one of the subjects has too many faces."""
        if self.faces_per_gallery:
            count = _count(db, "SELECT count(*) FROM faces WHERE gallery = ?", gallery.number)
            _require(count, self.faces_per_gallery, f"faces in gallery {gallery.id!r}")
        if self.faces_per_subject and subject_ids:
            marks = ",".join("?" * len(subject_ids))
            query = f"SELECT subject, count(*) FROM faces WHERE gallery = ? AND subject IN ({marks}) GROUP BY subject"
            for subject_id, count in db.execute(query, (gallery.number, *subject_ids)):
                _require(count, self.faces_per_subject, f"faces of subject {subject_id!r}")


NO_LIMITS = GalleryLimits()


def _count(db: Connection, query: str, *values: object) -> int:
    return int(db.execute(query, values).fetchone()[0])


def _require(count: int, limit: int, kind: str) -> None:
    if count > limit:
        raise InvalidRequest(f"expected at most {limit} {kind}, got {count}")
