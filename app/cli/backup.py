"""`likeness backup` and `likeness restore`: everything that a data directory holds, also while it is served."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import IO, Annotated

import typer

from app import __version__
from app.audit import log as audit
from app.bootstrap.storage import GALLERY_FILE, open_cipher, prepare_data_keys, require_gallery_file, require_sqlite
from app.cli.keys import operator
from app.cli.output import ERROR, SUCCESS, AsJson, CommandError, Result, err, run
from app.cli.progress import waiting
from app.gallery.records import DamagedRow
from app.gallery.repository import GalleryRepository
from app.settings import Settings
from app.storage.backup import InvalidBackup, Manifest, extract_backup, write_backup
from app.storage.migrate import open_migrated, schema_version
from app.storage.scripts import migration_scripts
from app.storage.sqlite import Database

STREAM = Path("-")


def backup(
    file: Annotated[Path, typer.Argument(help="A new file to write, or - for the standard output.")],
    keys: Annotated[
        Path | None,
        typer.Option(
            help="Write the data keys of an encrypted gallery to this file instead, in place of those in it. FILE is "
            "then useless for people whose key is in no file any more."
        ),
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Write galleries, keys and the audit log to FILE, also while they are served. It is biometric data: protect it."""

    async def work(settings: Settings) -> Result:
        require_sqlite(settings, "likeness backup", "use pg_dump or pg_basebackup: docs/operations/scale.md")
        require_gallery_file(settings)
        path, data_keys = settings.data_dir / GALLERY_FILE, prepare_data_keys(settings)
        with closing(Database(path, open_cipher(settings), keys=data_keys)) as database:
            _record(database, "gallery.backup")
            write = partial(write_backup, database, likeness_version=__version__, keys=keys)
            if file == STREAM:
                _refuse_terminal()
                manifest = write(sys.stdout.buffer, scratch=settings.data_dir)
                err.print(_summary(manifest), markup=False, soft_wrap=True)
                raise typer.Exit(SUCCESS)
            with new_file(file) as out, waiting("writing"):
                manifest = write(out, scratch=file.absolute().parent)
        return SUCCESS, asdict(manifest), f"{_summary(manifest)} written to {file}"

    run(as_json, work)


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `backup` wrote, or - for the standard input.")],
    keys: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="The data keys, as `backup --keys` wrote them. Whoever has none there is left out.",
        ),
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Put the backup FILE into an empty LIKENESS_DATA_DIR, and check it."""

    async def work(settings: Settings) -> Result:
        require_sqlite(settings, "likeness restore", "use pg_restore: docs/operations/scale.md")
        data_keys = prepare_data_keys(settings)
        _refuse_to_overwrite(settings.data_dir, data_keys)
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _scratch(settings.data_dir) as folder, _scratch(data_keys.parent) as keys_folder:
            copy, copied_keys = folder / GALLERY_FILE, keys_folder / data_keys.name
            with waiting("restoring"):
                manifest = _extract(file, copy, copied_keys)
                _take_keys(manifest, keys, copied_keys)
                left_out, damage = _check(copy, copied_keys, settings, leave_out=keys is not None)
            _put_in_place({copied_keys: data_keys, copy: settings.data_dir / GALLERY_FILE})
        document = {
            "ok": not damage,
            **asdict(manifest),
            "left_out": [str(row) for row in left_out],
            "damage": [str(row) for row in damage],
        }
        lines = [f"{_summary(manifest)} restored to {settings.data_dir}", *map(str, damage)]
        if left_out:
            lines.append(f"{len(left_out)} subjects have no data key (any more) and were left out")
        return ERROR if damage else SUCCESS, document, "\n".join(lines)

    run(as_json, work)


def _record(database: Database, action: str) -> None:
    """Raises StartError if the file is not ours, or newer than this program; an older one is not migrated."""
    with database.reading() as db:
        schema_version(db, database.path, newest=len(migration_scripts()))
    database.watch_rows()
    with database.writing() as db:
        audit.append(db, operator(), action, "")


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=".likeness-restore-", dir=folder) as name:
        yield Path(name)


def _extract(file: Path, copy: Path, copied_keys: Path) -> Manifest:
    try:
        if file == STREAM:
            return extract_backup(sys.stdin.buffer, copy, copied_keys)
        with file.open("rb") as source:
            return extract_backup(source, copy, copied_keys)
    except InvalidBackup as error:
        raise CommandError(f"{file}: {error}") from error


def _take_keys(manifest: Manifest, keys: Path | None, copied_keys: Path) -> None:
    """Copy the file of keys, if it is given."""
    if keys is None and manifest.keys == "separate":
        raise CommandError("the backup has no data keys: expected --keys with the file that `backup --keys` wrote")
    if keys is not None and manifest.keys == "none":
        raise CommandError("the backup needs no data keys: expected no --keys")
    if keys is not None:
        copied_keys.touch(mode=0o600)
        shutil.copyfile(keys, copied_keys)


def _check(
    copy: Path, copied_keys: Path, settings: Settings, *, leave_out: bool
) -> tuple[list[DamagedRow], list[DamagedRow]]:
    """
    Migrate the copy and check it; return the subjects left out because they have no data key, and the damage.

    Raises StartError if it is newer than this program, or the key is not its own.
    """
    cipher = open_cipher(settings)
    with closing(open_migrated(copy, cipher, keys=copied_keys)) as database:
        repository = GalleryRepository(database, cipher)
        damage = repository.check_integrity()
        left_out = [row for row in damage if row.kind == "subject" and leave_out]
        if left_out:
            repository.repair(left_out, operator())
        repository.settle_after_crash()  # destroys keys of nobody in the backup
        _check_audit(audit.AuditLog(database))
        _record(database, "gallery.restore")
    return left_out, [row for row in damage if row not in left_out]


def _check_audit(log: audit.AuditLog) -> None:
    if fault := log.verify().fault:
        err.print(f"warning: the audit log is broken: {fault}", markup=False, soft_wrap=True)


def _put_in_place(files: dict[Path, Path]) -> None:
    """Link each file that there is to its target, in this order and on the disk."""
    for source, target in files.items():
        if not source.exists():
            continue
        with source.open("rb") as file:
            os.fsync(file.fileno())
        try:
            os.link(source, target)  # unlike a rename, it never replaces a file
        except FileExistsError:
            raise _exists(target) from None
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)


def _refuse_to_overwrite(data_dir: Path, data_keys: Path) -> None:
    present = [*(data_dir / f"{GALLERY_FILE}{end}" for end in ("", "-wal", "-shm")), data_keys]
    if found := [path for path in present if path.exists()]:
        raise _exists(found[0])


def _exists(path: Path) -> CommandError:
    return CommandError(f"{path} exists, and a backup replaces no gallery: set LIKENESS_DATA_DIR to another")


def _refuse_terminal() -> None:
    if sys.stdout.isatty():
        raise CommandError("expected a file, or a pipe behind `-`, got a terminal")


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that only its owner can read, and that exists under its name only once it is complete."""
    if path.exists():
        raise CommandError(f"{path} exists already")
    with tempfile.TemporaryDirectory(prefix=".likeness-backup-", dir=path.absolute().parent) as folder:
        part = Path(folder, path.name)
        part.touch(mode=0o600)
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)


def _summary(manifest: Manifest) -> str:
    counts = manifest.counts
    names = {"galleries": "galleries", "subjects": "subjects", "faces": "faces", "api_keys": "keys", "audit": "entries"}
    parts = [f"{counts[table]} {name}" for table, name in names.items() if table in counts]
    return f"{', '.join(parts)} of {manifest.created_at}"
