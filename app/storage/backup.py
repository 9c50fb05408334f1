"""
A backup: a tar file with `manifest.json` and copies of the database and its keys, made while other processes use them.

`VACUUM INTO` writes the state at one moment into a file without unused pages, so that a backup has no remains of what
was erased before it. The keys are copied after it, and until then none is destroyed that the copy needs. They may go to
a file of their own: a backup without them shows nobody whose key has been destroyed since.
"""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Literal

from app.domain.clock import now
from app.storage.sqlite import Database

FORMAT = "likeness-backup-1"
MANIFEST, DATABASE, KEYS = "manifest.json", "gallery.sqlite3", "gallery.sqlite3-keys"
_CHUNK = 2**20
_MAX_MANIFEST_BYTES = 2**16


class InvalidBackup(ValueError):
    """A file is not a backup, or not as it was written."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    `sha256` and `bytes` are those of the database file; `counts` has the rows of each of its tables.

    `keys` says where the data keys of an encrypted gallery are; `keys_sha256` is that of their file, if it is included.
    """

    format: str
    likeness: str
    schema_version: int
    created_at: str
    sha256: str
    bytes: int
    counts: Mapping[str, int]
    audit_head: str | None
    encrypted: bool
    keys: Literal["none", "included", "separate"] = "none"
    keys_sha256: str | None = None


def write_backup(
    database: Database, out: IO[bytes], *, scratch: Path, likeness_version: str, keys: Path | None = None
) -> Manifest:
    """
    Write a backup to `out`, and the data keys to a file of their own if `keys` is given.

    The copy lies in `scratch` meanwhile, so that it needs as much room as the database.
    """
    with _folder(scratch) as folder, _folder(database.keys.path.parent) as keys_folder:
        copy, copied_keys = folder / DATABASE, keys_folder / KEYS
        copy.touch(mode=0o600)
        with database.keeping_keys():
            database.copy_into(copy)
            has_keys = _copy_keys(database, copy, keys or copied_keys)
        manifest = _describe(copy, likeness_version)
        if has_keys:
            included = None if keys else _sha256(copied_keys)
            manifest = replace(manifest, keys="separate" if keys else "included", keys_sha256=included)
        with tarfile.open(fileobj=out, mode="w|") as tar:
            _add(tar, MANIFEST, io.BytesIO(text := json.dumps(asdict(manifest), indent=2).encode()), len(text))
            for path in [copied_keys, copy] if manifest.keys == "included" else [copy]:
                with path.open("rb") as file:
                    _add(tar, path.name, file, path.stat().st_size)
    out.flush()
    return manifest


@contextmanager
def _folder(where: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=".likeness-backup-", dir=where) as name:
        yield Path(name)


def _copy_keys(database: Database, copy: Path, into: Path) -> bool:
    """Copy the keys that the copy of the database needs; return whether it needs any."""
    with closing(sqlite3.connect(copy)) as db:
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master")}
        if "metadata" not in tables or not db.execute("SELECT 1 FROM metadata WHERE name = 'key_file'").fetchone():
            return False
        slots = [row[0] for row in db.execute("SELECT key_slot FROM subjects WHERE key_slot IS NOT NULL")]
    database.keys.copy_into(into, slots)
    return True


def extract_backup(source: IO[bytes], into: Path, keys: Path) -> Manifest:
    """
    Write the database of a backup to `into`, and the data keys to `keys` if it has any; only their owner can read them.

    Raises InvalidBackup.
    """
    keys_digest = None
    try:
        with tarfile.open(fileobj=source, mode="r|*") as tar:
            manifest = _parse_manifest(_member(tar, MANIFEST).read(_MAX_MANIFEST_BYTES))
            if manifest.keys == "included":
                keys_digest = _copy(_member(tar, KEYS), keys)
            digest = _copy(_member(tar, DATABASE), into)
    except (tarfile.TarError, EOFError) as error:
        raise InvalidBackup(f"not a backup, or cut short: {error}") from error
    if keys_digest != manifest.keys_sha256:
        raise InvalidBackup(f"the keys in the backup were changed: expected SHA-256 {manifest.keys_sha256}")
    if digest != manifest.sha256:
        raise InvalidBackup(f"the backup was changed or cut short: expected SHA-256 {manifest.sha256}, got {digest}")
    return manifest


def _describe(copy: Path, likeness_version: str) -> Manifest:
    with closing(sqlite3.connect(copy)) as db:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        tables = [name for name in names if not name.startswith("sqlite_")]
        head = db.execute("SELECT hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        facts = "metadata" if "metadata" in tables else "facts"
        key_check = db.execute(f"SELECT count(*) FROM {facts} WHERE name IN ('key_check', 'seal')").fetchone()  # noqa: S608
        version = db.execute("PRAGMA user_version").fetchone()[0]
        counts = {name: int(db.execute(f"SELECT count(*) FROM {name}").fetchone()[0]) for name in tables}  # noqa: S608
    digest, size = _sha256(copy), copy.stat().st_size
    return Manifest(
        FORMAT, likeness_version, version, now(), digest, size, counts, head[0] if head else None, bool(key_check[0])
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _add(tar: tarfile.TarFile, name: str, data: IO[bytes], size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    tar.addfile(info, data)


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    found = tar.next()
    data = tar.extractfile(found) if found and found.name == name else None
    if data is None:
        raise InvalidBackup(f"not a backup: expected {name}, got {found.name if found else 'the end of the file'}")
    return data


def _parse_manifest(text: bytes) -> Manifest:
    try:
        manifest = Manifest(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise InvalidBackup(f"not a backup: {MANIFEST} cannot be read: {error}") from error
    if manifest.format != FORMAT:
        raise InvalidBackup(f"expected a backup of format {FORMAT}, got {manifest.format}")
    return manifest


def _copy(source: IO[bytes], into: Path) -> str:
    """Return the SHA-256 of what was copied."""
    digest = hashlib.sha256()
    into.touch(mode=0o600)
    with into.open("wb") as file:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()
