"""
A digest of all rows that matter, kept while they change: what was changed behind the service's back does not fit it.

Triggers note each row that our connections add or remove, by a cascade too (`install_watch` of a connection). The
digest is a sum of hashes (row_hashes.py) with a key (row_key.py).
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter, defaultdict
from collections.abc import Mapping

from app.storage.cipher import Cipher
from app.storage.database import Connection
from app.storage.row_hashes import Digest, Part, encode_row, hash_row, sum_rows, to_bytes, total_of
from app.storage.row_key import RowKey, is_encrypted

_MAX_NOTED = 10_000
"""Rows that are noted before their hashes are added up; a row that is added and removed again needs no hash."""
_TOTAL = Part(0, "")


class RowDigests:
    """The digests of a file, for the transactions of one connection."""

    def __init__(self, db: Connection, cipher: Cipher) -> None:
        self._db, self.key = db, RowKey(db, cipher)
        self._noted: Counter[tuple[Part, bytes]] = Counter()
        self._changes: defaultdict[Part, Digest] = defaultdict(Digest)
        self._stored_anew = False

    def install(self) -> None:
        """Watch the rows from now on."""
        self._db.install_watch(self._note)

    def start(self) -> None:
        """Begin a writing transaction: forget what an earlier one left, and read the key, which may have changed."""
        self._noted.clear()
        self._changes.clear()
        self._stored_anew = False
        self.key.start()

    def have_changed(self) -> bool:
        """Return whether rows were noted, or the digests computed anew, since the last `flush`."""
        self._db.collect_changes()
        return bool(self._noted or self._changes or self._stored_anew)

    def flush(self) -> bool:
        """Add what was noted to the stored digests; return whether they are others than before."""
        self._db.collect_changes()
        self._add_up()
        changes = {part: change for part, change in self._changes.items() if change != Digest()}
        self._changes.clear()
        if changes:
            self.key.require()
            for part, change in changes.items():
                self._store(part, change)
            self._store(_TOTAL, total_of(changes))
        stored_anew, self._stored_anew = self._stored_anew, False
        return bool(changes) or stored_anew

    def state(self) -> str:
        """Return the SHA-256 of the digest of all rows, as it is stored."""
        return hashlib.sha256(to_bytes(self._stored(_TOTAL).sum)).hexdigest()

    def is_empty(self) -> bool:
        return self._stored(_TOTAL) == Digest()

    def sign(self, message: str) -> bytes:
        """Return a MAC, which nobody can compute without the encryption key if the gallery is encrypted."""
        self.key.require()
        return hmac.digest(self.key.value, b"head\n" + message.encode(), "sha256")

    def create(self) -> None:
        """Compute the digests of a file that has none yet. Raises StartError if it is encrypted and no key is given."""
        if is_encrypted(self._db):
            self.key.replace()
        self._store_all(sum_rows(self._db, self.key.value))

    def rekey(self) -> None:
        """Compute all digests with a new key. Rows that differed from their digests differ from the new ones too."""
        self.flush()
        self.key.require()
        before, wanted = sum_rows(self._db, self.key.value), self._stored_parts()
        missing = self._stored(_TOTAL)
        missing.add(total_of(wanted), -1)
        self.key.replace()
        after = sum_rows(self._db, self.key.value)
        for part in before.keys() | wanted.keys():
            after.setdefault(part, Digest()).add(wanted.get(part, Digest()))
            after[part].add(before.get(part, Digest()), -1)
        self._store_all(after)
        self._store(_TOTAL, missing)

    def accept(self) -> None:
        """Compute all digests of the rows as they are now."""
        self.flush()
        self.key.require()
        self._store_all(sum_rows(self._db, self.key.value))

    def differences(self) -> list[str]:
        """Name the parts whose rows are not those of their digests."""
        found, wanted = sum_rows(self._db, self.key.value), self._stored_parts()
        names = {int(row["number"]): str(row["id"]) for row in self._db.execute("SELECT number, id FROM galleries")}
        different = sorted(part for part in found.keys() | wanted.keys() if found.get(part) != wanted.get(part))
        if not different and total_of(found) != self._stored(_TOTAL):
            return ["the rows are not those of the digest of all rows"]
        return [_describe(part, found.get(part), wanted.get(part), names) for part in different]

    def _note(self, change: int, table: str, gallery: int, types: str, *cells: bytes | None) -> None:
        self._noted[Part(gallery, table), encode_row(table, types, cells)] += change
        if len(self._noted) > _MAX_NOTED and self.key.is_readable:
            self._add_up()

    def _add_up(self) -> None:
        key = self.key.value
        for (part, row), count in self._noted.items():
            if count:
                self._changes[part].add(Digest(count, count * hash_row(key, row)))
        self._noted.clear()

    def _stored(self, part: Part) -> Digest:
        row = self._db.execute(
            "SELECT row_count, CAST(sum AS BLOB) AS sum FROM row_digests WHERE gallery = ? AND relation = ?", part
        ).fetchone()
        return Digest(row["row_count"], int.from_bytes(row["sum"], "big")) if row else Digest()

    def _stored_parts(self) -> dict[Part, Digest]:
        rows = self._db.execute("SELECT gallery, relation, row_count, CAST(sum AS BLOB) AS sum FROM row_digests")
        parts = {
            Part(row["gallery"], row["relation"]): Digest(row["row_count"], int.from_bytes(row["sum"], "big"))
            for row in rows
        }
        parts.pop(_TOTAL, None)
        return parts

    def _store(self, part: Part, change: Digest) -> None:
        digest = self._stored(part)
        digest.add(change)
        if digest == Digest() and part != _TOTAL:
            self._db.execute("DELETE FROM row_digests WHERE gallery = ? AND relation = ?", part)
            return
        self._db.execute(
            "INSERT INTO row_digests (gallery, relation, row_count, sum) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (gallery, relation) DO UPDATE SET row_count = excluded.row_count, sum = excluded.sum",
            (*part, digest.rows, to_bytes(digest.sum)),
        )

    def _store_all(self, parts: Mapping[Part, Digest]) -> None:
        self._db.execute("DELETE FROM row_digests")
        for part, digest in parts.items():
            self._store(part, digest)
        self._store(_TOTAL, total_of(parts))
        self._stored_anew = True


def has_digests(db: Connection) -> bool:
    return db.has_table("row_digests")


def _describe(part: Part, found: Digest | None, wanted: Digest | None, names: Mapping[int, str]) -> str:
    name = names.get(part.gallery)
    where = f"gallery {name!r}: " if name is not None else f"gallery number {part.gallery}: " if part.gallery else ""
    count, expected = (each.rows if each else 0 for each in (found, wanted))
    if count != expected:
        return f"{where}expected {expected} rows in {part.table}, got {count}"
    return f"{where}the rows in {part.table} were changed"
