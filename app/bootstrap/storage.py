"""Open the database of `data_dir`: the gallery, the API keys, and the cipher that protects them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from app.access.api_keys import KeyStore
from app.domain.errors import NotFound, ServiceError, StartError, StorageFull
from app.domain.ports import ThresholdOffsets
from app.gallery.limits import GalleryLimits
from app.gallery.repository import GalleryRepository
from app.settings import Settings
from app.storage.cipher import AesGcmCipher, parse_keys
from app.storage.migrate import open_migrated
from app.storage.ownership import ownership_hint
from app.storage.sqlite import Database

DEFAULT_GALLERY = "default"
GALLERY_FILE = "gallery.sqlite3"
_NEW_GALLERY_BYTES = 2**19
"""Free space that a first start requires; it writes 0.3 MiB."""


@contextmanager
def open_repository(settings: Settings, offsets: ThresholdOffsets | None = None) -> Iterator[GalleryRepository]:
    """
    Open the galleries of `data_dir`, with the gallery `default` among them.

    Without the `offsets` of the model every face that is read has the threshold offset 0. Raises StartError.
    """
    with open_database(settings) as database:
        try:
            repository = GalleryRepository(database, open_cipher(settings), _gallery_limits(settings), offsets)
            _ensure_default(repository)
        except ServiceError as error:
            raise StartError(f"cannot write to the gallery {settings.data_dir / GALLERY_FILE}: {error}") from error
        yield repository


def _gallery_limits(settings: Settings) -> GalleryLimits:
    return GalleryLimits(
        settings.max_metadata_bytes,
        settings.max_faces_per_subject,
        settings.max_subjects_per_gallery,
        settings.max_faces_per_gallery,
    )


def _ensure_default(repository: GalleryRepository) -> None:
    """Create the default gallery if it is missing; a start without that need writes nothing."""
    try:
        repository.gallery(DEFAULT_GALLERY)
    except NotFound:
        repository.create_gallery(DEFAULT_GALLERY)


@contextmanager
def open_keys(settings: Settings) -> Iterator[KeyStore]:
    """Open the API keys over a connection of their own, so that no lookup waits for a change of the gallery."""
    with open_database(settings) as database:
        yield KeyStore(database)


def require_gallery_file(settings: Settings) -> None:
    """Raises StartError if there is no gallery: a misspelt LIKENESS_DATA_DIR must not look like an empty one."""
    if not (settings.data_dir / GALLERY_FILE).exists():
        raise StartError(f"no gallery in {settings.data_dir}")


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Raises StartError."""
    path = settings.data_dir / GALLERY_FILE
    try:
        _require_space(path)
        database = open_migrated(path)
    except (OSError, ServiceError) as error:  # no access, no space, or not a database
        raise StartError(f"cannot open the gallery {path}: {error}{ownership_hint(path)}") from error
    with closing(database):
        yield database


def _require_space(path: Path) -> None:
    """Raises StorageFull if there is no gallery yet and no space for one, before any of its files is made."""
    if path.exists():
        return
    folder = next(each for each in path.absolute().parents if each.exists())
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    if disk.f_blocks and free < _NEW_GALLERY_BYTES:  # a file system without blocks has no limit of its own
        raise StorageFull(f"expected {_NEW_GALLERY_BYTES // 1024} KiB of free space for it, got {free // 1024} KiB")


def open_cipher(settings: Settings) -> AesGcmCipher | None:
    """Raises StartError if the key is malformed or its file cannot be read."""
    if settings.encryption_key and settings.encryption_key_file:
        raise StartError("expected LIKENESS_ENCRYPTION_KEY or LIKENESS_ENCRYPTION_KEY_FILE, got both")
    if settings.encryption_key:
        return AesGcmCipher(parse_keys(settings.encryption_key.get_secret_value()))
    if settings.encryption_key_file:
        try:
            return AesGcmCipher(parse_keys(settings.encryption_key_file.read_text()))
        except (OSError, UnicodeDecodeError) as error:
            hint = ownership_hint(settings.encryption_key_file)
            raise StartError(f"cannot read the encryption key: {error}{hint}") from error
    return None
