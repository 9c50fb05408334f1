"""The statements on responses saved under an Idempotency-Key, within one transaction."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from app.domain.errors import InvalidRequest
from app.gallery import queries
from app.gallery.records import DamagedValue, GalleryInfo, IdempotencyRecord
from app.gallery.statements import Statements
from app.storage.database import Row

log = logging.getLogger(__name__)


class ResponseStatements(Statements):
    def save_response(self, gallery: GalleryInfo, subject_id: str, record: IdempotencyRecord) -> None:
        cipher = self.keys.cipher(gallery.number, subject_id)
        encrypted = self.codec.encrypt_response(gallery.number, subject_id, record, cipher)
        self.db.execute(
            "INSERT INTO idempotency_keys (gallery, subject, key, request_digest, response) VALUES (?, ?, ?, ?, ?)",
            (gallery.number, subject_id, record.key, record.request_digest, encrypted),
        )

    def saved_response(
        self, gallery_number: int, subject_id: str, key: str, request_digest: str
    ) -> Mapping[str, Any] | None:
        """Return the response saved under the key. Raises InvalidRequest if it answered another request."""
        row = self.db.execute(
            f"{queries.RESPONSE} WHERE gallery = ? AND subject = ? AND key = ?", (gallery_number, subject_id, key)
        ).fetchone()
        if row is None:
            return None
        if row["request_digest"] != request_digest:
            raise InvalidRequest(f"Idempotency-Key {key!r} was used for another request")
        return self.codec.response(gallery_number, row)

    def saved_responses(self, gallery: GalleryInfo, subject_id: str) -> list[IdempotencyRecord]:
        """Return the responses saved for a subject; a damaged one is logged and its response is empty."""
        rows = self.db.execute(
            f"{queries.RESPONSE} WHERE gallery = ? AND subject = ? ORDER BY key", (gallery.number, subject_id)
        )
        return [self._saved_response(gallery.number, row) for row in rows]

    def _saved_response(self, gallery_number: int, row: Row) -> IdempotencyRecord:
        try:
            response = self.codec.response(gallery_number, row)
        except DamagedValue as error:
            log.warning("the response saved under Idempotency-Key %r is damaged: %s", row["key"], error)
            response = {}
        return IdempotencyRecord(row["key"], row["request_digest"], response)

    def delete_saved_responses(self, gallery: GalleryInfo, subject_id: str) -> None:
        """Delete them with any face: they say where it was in its photo, and would claim that it is still enrolled."""
        self.db.execute("DELETE FROM idempotency_keys WHERE gallery = ? AND subject = ?", (gallery.number, subject_id))
