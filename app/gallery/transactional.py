"""Open the transactions of a gallery repository, which all its parts share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.domain.ports import ThresholdOffsets
from app.gallery import key_rotation
from app.gallery.codec import RowCodec
from app.gallery.limits import NO_LIMITS, GalleryLimits
from app.gallery.snapshots import snapshots_of
from app.gallery.subject_keys import SubjectKeys
from app.gallery.transaction import GalleryTransaction
from app.gallery.transaction_keys import TransactionKeys
from app.storage.cipher import Cipher, NoCipher
from app.storage.database import Connection, Database


class Transactional:
    """Opens transactions on one database. The repositories derive from it."""

    def __init__(
        self,
        database: Database,
        cipher: Cipher | None = None,
        limits: GalleryLimits = NO_LIMITS,
        offsets: ThresholdOffsets | None = None,
    ) -> None:
        """Raises StartError unless the cipher has the key of the file, which must be at the newest schema version."""
        self._database, self._cipher = database, cipher or NoCipher()
        self._codec, self._limits = RowCodec(SubjectKeys(self._cipher, database.keys), offsets), limits
        self.snapshots = snapshots_of(database, self._cipher)
        key_rotation.open_with_cipher(database, self._codec)

    def require_all_keys(self) -> None:
        """Raises StartError if values are encrypted with a key that is not given."""
        with self._reading() as transaction:
            self._codec.keys.require_master_keys(transaction.db)

    @contextmanager
    def _reading(self) -> Iterator[GalleryTransaction]:
        with self._database.reading() as db:
            key_rotation.require_same_cipher(db, self._cipher, writing=False)
            yield self._transaction(db, TransactionKeys(db, self._codec, []))

    @contextmanager
    def _writing(self) -> Iterator[GalleryTransaction]:
        with self._database.writing() as db, self._changing(db, []) as transaction:
            yield transaction

    @contextmanager
    def _replacing(self) -> Iterator[GalleryTransaction]:
        released: list[int] = []
        with self._database.replacing(released) as db, self._changing(db, released) as transaction:
            yield transaction

    @contextmanager
    def _deleting(self) -> Iterator[GalleryTransaction]:
        released: list[int] = []
        is_done = False
        try:
            with self._database.deleting(released) as db, self._changing(db, released) as transaction:
                yield transaction
                is_done = True
        finally:
            if is_done:
                self.snapshots.destroy()

    @contextmanager
    def _changing(self, db: Connection, released: list[int]) -> Iterator[GalleryTransaction]:
        key_rotation.require_same_cipher(db, self._cipher, writing=True)
        keys = TransactionKeys(db, self._codec, released)
        with keys.synced():
            yield self._transaction(db, keys)

    def _transaction(self, db: Connection, keys: TransactionKeys) -> GalleryTransaction:
        return GalleryTransaction(db, self._codec, keys, self._limits)
