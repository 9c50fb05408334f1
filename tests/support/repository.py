"""A gallery repository on a database of its own."""

import tempfile
from functools import cache
from pathlib import Path

from app.domain.ports import ThresholdOffsets
from app.gallery.repository import GalleryRepository
from app.storage.cipher import Cipher
from app.storage.database import Database
from app.storage.migrate import open_migrated
from app.storage.postgresql import migrate as postgresql
from app.storage.postgresql.database import Database as PostgresDatabase
from tests.support.commands import eventually


def open_database(address: Path | str, cipher: Cipher | None = None, *, busy_timeout: float = 10.0) -> Database:
    """Open the SQLite file at a path, or the PostgreSQL database at an address. A new file is a copy of another."""
    if isinstance(address, Path):
        if not address.exists() and (cipher is None or not cipher.key_name):
            address.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            address.touch(mode=0o600)
            address.write_bytes(migrated_file())
        return open_migrated(address, cipher, busy_timeout=busy_timeout)
    return postgresql.open_migrated(address, cipher, busy_timeout=busy_timeout)


@cache
def migrated_file() -> bytes:
    """Return an empty SQLite file at the newest schema version. It has nothing random, unlike an encrypted one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gallery.sqlite3"
        open_migrated(path).close()
        return path.read_bytes()


def wait_until_known(repository: GalleryRepository) -> None:
    """Wait until the repository knows of all that others have committed: PostgreSQL tells it, SQLite is asked."""
    if isinstance(repository._database, PostgresDatabase):
        with repository._database.reading() as db:
            row = db.execute("SELECT seq FROM audit_head").fetchone()
        assert eventually(lambda: repository.data_version() >= (row["seq"] if row else 0))


class FileRepository(GalleryRepository):
    """Opens its database itself, and closes it."""

    def __init__(
        self,
        address: Path | str,
        *,
        busy_timeout: float = 10.0,
        cipher: Cipher | None = None,
        offsets: ThresholdOffsets | None = None,
    ) -> None:
        self.address = address
        self.database = open_database(address, cipher, busy_timeout=busy_timeout)
        try:
            super().__init__(self.database, cipher, offsets=offsets)
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        self.database.close()
