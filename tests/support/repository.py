"""A gallery repository on a file of its own."""

from pathlib import Path

from app.domain.ports import ThresholdOffsets
from app.gallery.repository import GalleryRepository
from app.storage.cipher import Cipher
from app.storage.migrate import open_migrated


class FileRepository(GalleryRepository):
    """Opens its database itself, and closes it."""

    def __init__(
        self,
        path: Path,
        *,
        busy_timeout: float = 10.0,
        cipher: Cipher | None = None,
        offsets: ThresholdOffsets | None = None,
    ) -> None:
        self.database = open_migrated(path, busy_timeout=busy_timeout)
        try:
            super().__init__(self.database, cipher, offsets=offsets)
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        self.database.close()
