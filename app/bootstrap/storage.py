"""
Open the database of `data_dir`, or the one in PostgreSQL: the gallery, the API keys, and the cipher that protects them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from app.access.api_keys import KeyStore
from app.domain.errors import NotFound, ServiceError, StartError, StorageFull
from app.domain.ports import ThresholdOffsets
from app.gallery.limits import GalleryLimits
from app.gallery.repository import GalleryRepository
from app.settings import Settings
from app.storage.cipher import AesGcmCipher, parse_keys
from app.storage.database import Database
from app.storage.key_file import key_path
from app.storage.migrate import open_migrated
from app.storage.ownership import ownership_hint
from app.storage.sqlite import Database as SqliteDatabase

DEFAULT_GALLERY = "default"
GALLERY_FILE = "gallery.sqlite3"
_NEW_GALLERY_BYTES = 2**19
"""Free space that a first start requires; it writes 0.3 MiB."""


@contextmanager
def open_repository(settings: Settings, offsets: ThresholdOffsets | None = None) -> Iterator[GalleryRepository]:
    """
    Open the galleries, with the gallery `default` among them.

    Without the `offsets` of the model every face that is read has the threshold offset 0. Raises StartError.
    """
    with open_database(settings) as database:
        try:
            repository = GalleryRepository(database, open_cipher(settings), _gallery_limits(settings), offsets)
            _ensure_default(repository)
        except ServiceError as error:
            raise StartError(f"cannot write to the gallery {database_name(settings)}: {error}") from error
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
    if not settings.database and not (settings.data_dir / GALLERY_FILE).exists():
        raise StartError(f"no gallery in {settings.data_dir}")


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Raises StartError."""
    with closing(_open(settings)) as database:
        yield database


def database_name(settings: Settings) -> str:
    """Return where the galleries are, without a password."""
    return "in LIKENESS_DATABASE" if settings.database else str(settings.data_dir / GALLERY_FILE)


def erasure_warning(settings: Settings) -> str | None:
    """Return what erasing does not do in PostgreSQL without an encryption key."""
    if settings.database and not (settings.encryption_key or settings.encryption_key_file):
        return (
            "without LIKENESS_ENCRYPTION_KEY the rows of deleted faces stay in the files of PostgreSQL until their "
            "space is used again: see docs/operations/scale.md"
        )
    return None


def require_sqlite(settings: Settings, command: str, instead: str) -> None:
    """Raises StartError for a command that only a file knows."""
    if settings.database:
        raise StartError(f"`{command}` is for the file in LIKENESS_DATA_DIR; with LIKENESS_DATABASE {instead}")


def _open(settings: Settings) -> Database:
    if settings.database:
        return open_postgresql(settings.database.get_secret_value(), open_cipher(settings))
    return _open_file(settings)


def _open_file(settings: Settings) -> Database:
    path, keys = settings.data_dir / GALLERY_FILE, prepare_data_keys(settings)
    try:
        _require_space(path)
        return open_migrated(path, open_cipher(settings), keys=keys)
    except (OSError, ServiceError) as error:  # no access, no space, or not a database
        raise StartError(f"cannot open the gallery {path}: {error}{ownership_hint(path)}") from error


def prepare_data_keys(settings: Settings) -> Path:
    """
    Return where the data keys are; make LIKENESS_DATA_KEYS_DIR.

    Raises StartError if that cannot be written to, or there are data keys beside the database: a snapshot of the
    database would have them.
    """
    beside = key_path(settings.data_dir / GALLERY_FILE)
    if settings.data_keys_dir is None:
        return beside
    folder = settings.data_keys_dir
    keys = folder / beside.name
    if beside.exists() and not (keys.exists() and keys.samefile(beside)):
        cure = "`shred -u` the one that is not this gallery's" if keys.exists() else "move it while nothing uses it"
        raise StartError(f"expected data keys in {keys} (LIKENESS_DATA_KEYS_DIR) only, got {beside}: {cure}")
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise StartError(f"cannot write to LIKENESS_DATA_KEYS_DIR, {folder}{ownership_hint(folder)}")
    return keys


def open_postgresql(address: str, cipher: AesGcmCipher | None) -> Database:
    """Raises StartError."""
    _require_postgresql(address)
    from app.storage.postgresql import migrate
    from app.storage.postgresql.readiness import wait_until_ready

    try:
        wait_until_ready(address)
        return migrate.open_migrated(address, cipher)
    except ServiceError as error:
        raise StartError(f"cannot open the gallery in PostgreSQL: {error}") from error


def transfer_to_postgresql(source: Database, address: str, on_progress: Callable[[str, int], None]) -> int:
    """Copy a SQLite file as `transfer`. Raises StartError or ServiceError."""
    _require_postgresql(address)
    from app.storage.postgresql.transfer import transfer

    if not isinstance(source, SqliteDatabase):
        raise StartError("expected a SQLite file to copy")
    return transfer(source, address, on_progress)


def _require_postgresql(address: str) -> None:
    """Raises StartError."""
    if not address.startswith(("postgresql://", "postgres://")):
        raise StartError("expected the address of a database that begins with postgresql://")
    if find_spec("psycopg") is None:
        raise StartError("PostgreSQL needs the package psycopg: install likeness[postgres]")


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
    keys = read_encryption_keys(settings)
    return AesGcmCipher(keys) if keys else None


def read_encryption_keys(settings: Settings) -> list[bytes]:
    """Return the keys given, the present one first. Raises StartError as `open_cipher`."""
    if settings.encryption_key and settings.encryption_key_file:
        raise StartError("expected LIKENESS_ENCRYPTION_KEY or LIKENESS_ENCRYPTION_KEY_FILE, got both")
    if settings.encryption_key:
        return parse_keys(settings.encryption_key.get_secret_value())
    if settings.encryption_key_file:
        try:
            return parse_keys(settings.encryption_key_file.read_text())
        except (OSError, UnicodeDecodeError) as error:
            hint = ownership_hint(settings.encryption_key_file)
            raise StartError(f"cannot read the encryption key: {error}{hint}") from error
    return []
