"""The data keys that one transaction uses, makes and releases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.gallery.codec import RowCodec
from app.storage.cipher import Cipher
from app.storage.database import Connection


class TransactionKeys:
    """`released` are the slots of keys that nothing needs after the commit."""

    def __init__(self, db: Connection, row_codec: RowCodec, released: list[int]) -> None:
        self._db, self._codec, self._released = db, row_codec, released
        self._created: list[int] = []
        self._ciphers: dict[tuple[int, str], Cipher] = {}

    def slot(self, gallery_number: int, subject_id: str) -> int | None:
        row = self._db.execute(
            "SELECT key_slot FROM subjects WHERE gallery = ? AND id = ?", (gallery_number, subject_id)
        ).fetchone()
        return row["key_slot"] if row else None

    def cipher(self, gallery_number: int, subject_id: str) -> Cipher:
        """Return the cipher of a subject that exists. Raises DamagedValue if its key is missing."""
        ids = (gallery_number, subject_id)
        if ids not in self._ciphers:
            self._ciphers[ids] = self._codec.subject_cipher(*ids, self.slot(*ids))
        return self._ciphers[ids]

    def create(self, gallery_number: int, subject_id: str) -> tuple[int | None, Cipher]:
        """Make a key for a subject, and return its slot and its cipher, which `cipher` returns from now on."""
        slot, cipher = self._codec.keys.create(self._db, gallery_number, subject_id)
        if slot is not None:
            self._created.append(slot)
        self._ciphers[gallery_number, subject_id] = cipher
        return slot, cipher

    def release(self, slot: int | None) -> None:
        if slot is not None:
            self._released.append(slot)

    @contextmanager
    def synced(self) -> Iterator[None]:
        """At the end make the new keys durable, before the commit; or remove them, if the transaction fails."""
        file = self._codec.keys.file
        try:
            yield
            if self._created:
                file.sync()
        except BaseException:
            file.discard(self._created)
            raise
