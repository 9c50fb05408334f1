"""
A backup: a tar file with `manifest.json` and a copy of the database, made while other processes use it.

`VACUUM INTO` writes the state at one moment into a file without unused pages, so that a backup has no remains of what
was erased before it.
"""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from app.domain.clock import now
from app.storage.sqlite import Database

FORMAT = "likeness-backup-1"
MANIFEST, DATABASE = "manifest.json", "gallery.sqlite3"
_CHUNK = 2**20
_MAX_MANIFEST_BYTES = 2**16


class InvalidBackup(ValueError):
    """A file is not a backup, or not as it was written."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`sha256` and `bytes` are those of the database file; `counts` has the rows of each of its tables."""

    format: str
    likeness: str
    schema_version: int
    created_at: str
    sha256: str
    bytes: int
    counts: Mapping[str, int]
    audit_head: str | None
    encrypted: bool


def write_backup(database: Database, out: IO[bytes], *, scratch: Path, likeness_version: str) -> Manifest:
    """Write a backup to `out`; the copy lies in `scratch` meanwhile, so that it needs as much room as the database."""
    with tempfile.TemporaryDirectory(prefix=".likeness-backup-", dir=scratch) as folder:
        copy = Path(folder, DATABASE)
        copy.touch(mode=0o600)
        database.copy_into(copy)
        manifest = _describe(copy, likeness_version)
        with tarfile.open(fileobj=out, mode="w|") as tar:
            _add(tar, MANIFEST, io.BytesIO(text := json.dumps(asdict(manifest), indent=2).encode()), len(text))
            with copy.open("rb") as file:
                _add(tar, DATABASE, file, manifest.bytes)
    out.flush()
    return manifest


def extract_backup(source: IO[bytes], into: Path) -> Manifest:
    """Write the database of a backup to `into`, which only its owner can read. Raises InvalidBackup."""
    try:
        with tarfile.open(fileobj=source, mode="r|*") as tar:
            manifest = _parse_manifest(_member(tar, MANIFEST).read(_MAX_MANIFEST_BYTES))
            digest = _copy(_member(tar, DATABASE), into)
    except (tarfile.TarError, EOFError) as error:
        raise InvalidBackup(f"not a backup, or cut short: {error}") from error
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
    with copy.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = copy.stat().st_size
    return Manifest(
        FORMAT, likeness_version, version, now(), digest, size, counts, head[0] if head else None, bool(key_check[0])
    )


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
