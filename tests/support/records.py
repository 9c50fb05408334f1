"""Records on a file of their own."""

from pathlib import Path

from app.gallery.records import Records
from app.runtime.database import Database
from app.runtime.vault import Seal


class FileRecords(Records):
    """Opens its database itself, and closes it."""

    def __init__(self, path: Path, *, patience: float = 10.0, seal: Seal | None = None) -> None:
        self.database = Database(path, patience=patience)
        try:
            super().__init__(self.database, seal)
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        self.database.close()
