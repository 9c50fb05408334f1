"""Records on a file of their own."""

from pathlib import Path

from app.gallery.repository import GalleryRepository
from app.storage.cipher import Cipher
from app.storage.sqlite import Database


class FileRecords(GalleryRepository):
    """Opens its database itself, and closes it."""

    def __init__(self, path: Path, *, patience: float = 10.0, cipher: Cipher | None = None) -> None:
        self.database = Database(path, patience=patience)
        try:
            super().__init__(self.database, cipher)
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        self.database.close()
