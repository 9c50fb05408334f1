"""The base of the statements on each table, within one transaction."""

from __future__ import annotations

from app.gallery.codec import RowCodec
from app.gallery.limits import NO_LIMITS, GalleryLimits
from app.gallery.records import GalleryInfo
from app.gallery.transaction_keys import TransactionKeys
from app.storage.database import Connection


class Statements:
    """`keys` has the data keys that the transaction makes and releases."""

    def __init__(
        self, db: Connection, row_codec: RowCodec, keys: TransactionKeys, limits: GalleryLimits = NO_LIMITS
    ) -> None:
        self.db, self.codec, self.keys, self.limits = db, row_codec, keys, limits

    def raise_revision(self, gallery: GalleryInfo) -> int:
        self.db.execute("UPDATE galleries SET revision = revision + 1 WHERE number = ?", (gallery.number,))
        row = self.db.execute("SELECT revision FROM galleries WHERE number = ?", (gallery.number,)).fetchone()
        return int(row["revision"])
