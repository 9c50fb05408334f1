"""`likeness backup` and `likeness restore`: all that a data directory holds, copied while it is in use."""

import io
import json
import os
import shutil
import sqlite3
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.access.api_keys import KeyStore
from app.cli.backup import _put_in_place, _refuse_terminal
from app.cli.output import CommandError
from app.domain.identity import Scope
from app.gallery.records import IdempotencyRecord
from app.storage.cipher import AesGcmCipher
from tests.support.repository import FileRepository
from tests.support.tampering import run_sql
from tests.support.templates import numbered, template, unit, with_crops
from tests.unit.cli.conftest import Command
from tests.unit.gallery.attacker import keys_of
from tests.unit.gallery.test_migrations import DATABASES

KEY = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="
CIPHER = AesGcmCipher([bytes([7]) * 32])
TABLES = ["galleries", "subjects", "faces", "removals", "idempotency_keys", "metadata", "api_keys", "audit"]
TABLES += ["row_digests", "audit_head", "crops", "re_embeddings", "new_vectors"]


@pytest.fixture
def repository(likeness: Command) -> Iterator[FileRepository]:
    """A gallery with something in every table, open as by a service."""
    with closing(FileRepository(likeness.data / "gallery.sqlite3", cipher=CIPHER)) as opened:
        opened.put_subject("guests", "ada", {"name": "Ada"})
        record = IdempotencyRecord("once", "digest", {"enrolled": [1, 2]})
        opened.enroll("guests", "ada", with_crops(numbered("ada", 1, 2)), record)
        opened.enroll("staff", "eve", numbered("eve", 3, 4))
        opened.delete_face("staff", "eve", "4")
        KeyStore(opened.database).create([Scope.VERIFY], name="door")
        yield opened


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """The data directory of an empty machine."""
    return tmp_path / "elsewhere" / "data"


def rows(data_dir: Path) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(data_dir / "gallery.sqlite3")) as db:
        return {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}  # noqa: S608


def restored(likeness: Command, file: Path, to: Path) -> dict[str, Any]:
    done = likeness("restore", file, "--json", data_dir=to, encryption_key=KEY)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


@pytest.mark.usefixtures("repository")
def test_everything_is_restored_on_an_empty_machine(likeness: Command, tmp_path: Path, elsewhere: Path) -> None:
    file = tmp_path / "all.backup"
    done = likeness("backup", file, "--json", encryption_key=KEY)
    assert done.exit_code == 0, done.output
    before = rows(likeness.data)
    document = restored(likeness, file, elsewhere)
    after = rows(elsewhere)
    audit = after.pop("audit")
    assert after.pop("audit_head") != before.pop("audit_head")  # it ends with the entry of the restore

    assert document["damage"] == []
    assert (
        document["counts"]
        == json.loads(done.stdout)["counts"]
        == {
            **{table: len(found) for table, found in before.items()},
            "audit_head": 1,
            "pending_erasures": 0,
        }
    )
    assert audit[:-1] == before.pop("audit")
    assert "gallery.restore" in audit[-1][1]
    assert after == before
    assert (
        likeness("audit", "verify", "--head", document["audit_head"], encryption_key=KEY, data_dir=elsewhere).exit_code
        == 0
    )


@pytest.mark.slow
def test_a_backup_made_under_load_is_one_moment_and_whole(
    likeness: Command, repository: FileRepository, tmp_path: Path, elsewhere: Path
) -> None:
    over = threading.Event()
    enrolled: list[str] = []

    def enroll() -> None:
        number = 100
        while not over.is_set() and number < 9999:
            subject = f"subject {number}"
            repository.enroll("guests", subject, [template(str(number), subject, unit(number % 50))])
            enrolled.append(subject)
            number += 1

    worker = threading.Thread(target=enroll, daemon=True)
    worker.start()
    try:
        acknowledged: list[list[str]] = []
        for number in range(3):
            acknowledged.append(list(enrolled))
            done = likeness("backup", tmp_path / str(number), encryption_key=KEY)
            assert done.exit_code == 0, done.stderr
    finally:
        over.set()
        worker.join(30)
    for number, promised in enumerate(acknowledged):
        to = elsewhere.with_name(str(number))
        document = restored(likeness, tmp_path / str(number), to)
        found = rows(to)

        assert {f"subject {100 + index}" for index in range(len(promised))} <= {row[1] for row in found["subjects"]}
        assert len(found["faces"]) == document["counts"]["faces"] == len(found["subjects"]) + 1
        assert likeness("audit", "verify", encryption_key=KEY, data_dir=to).exit_code == 0


@pytest.mark.usefixtures("repository")
def test_only_its_owner_can_read_a_backup_and_what_is_restored(
    likeness: Command, tmp_path: Path, elsewhere: Path
) -> None:
    file = tmp_path / "all.backup"
    assert likeness("backup", file, encryption_key=KEY).exit_code == 0
    restored(likeness, file, elsewhere)

    assert {path.stat().st_mode & 0o077 for path in (file, elsewhere, *elsewhere.iterdir())} == {0}
    assert sorted(path.name for path in elsewhere.iterdir()) == ["gallery.sqlite3", "gallery.sqlite3-keys"]
    assert not list(tmp_path.glob(".likeness*"))


def test_a_backup_has_no_remains_of_the_erased(likeness: Command, repository: FileRepository, tmp_path: Path) -> None:
    repository.put_subject("guests", "bob", {"name": "x" * 50})
    repository.delete_subject("guests", "bob")
    file = tmp_path / "all.backup"
    assert likeness("backup", file, encryption_key=KEY).exit_code == 0
    with tarfile.open(file) as tar:
        assert tar.getnames() == ["manifest.json", "gallery.sqlite3-keys", "gallery.sqlite3"]
        manifest = json.load(tar.extractfile("manifest.json") or io.BytesIO())

    assert manifest["format"] == "likeness-backup-1"
    assert manifest["encrypted"] is True
    assert manifest["schema_version"] >= 4
    assert unit(4).tobytes() not in file.read_bytes()


@pytest.mark.usefixtures("repository")
def test_through_pipes(likeness: Command, elsewhere: Path) -> None:
    done = likeness("backup", "-", encryption_key=KEY)
    assert done.exit_code == 0
    assert "2 subjects, 3 faces, 1 keys" in done.stderr
    assert likeness("restore", "-", input=done.stdout_bytes, data_dir=elsewhere, encryption_key=KEY).exit_code == 0
    assert len(rows(elsewhere)["faces"]) == 3


def test_no_backup_is_written_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    master, terminal = os.openpty()
    with open(master, "rb"), open(terminal, "w") as stdout:  # noqa: PTH123 - they are descriptors
        monkeypatch.setattr("sys.stdout", stdout)
        with pytest.raises(CommandError, match="expected a file, or a pipe behind `-`, got a terminal"):
            _refuse_terminal()


@pytest.fixture
def file(likeness: Command, repository: FileRepository, tmp_path: Path) -> Path:
    assert repository.galleries()
    path = tmp_path / "all.backup"
    assert likeness("backup", path, encryption_key=KEY).exit_code == 0
    return path


def refusal(likeness: Command, *arguments: object, **settings: str | Path) -> str:
    done = likeness(*arguments, **dict[str, Any](settings))
    assert done.exit_code == 2, done.output
    return done.stderr


def test_a_gallery_is_never_replaced(likeness: Command, file: Path) -> None:
    before = rows(likeness.data)

    assert "replaces no gallery" in refusal(likeness, "restore", file, encryption_key=KEY)
    with pytest.raises(CommandError, match="replaces no gallery"):  # one that came after the first look
        _put_in_place({file: likeness.data / "gallery.sqlite3"})
    assert rows(likeness.data) == before


def test_a_backup_replaces_no_file(likeness: Command, file: Path) -> None:
    before = file.read_bytes()

    assert "exists already" in refusal(likeness, "backup", file, encryption_key=KEY)
    assert file.read_bytes() == before


@pytest.mark.parametrize("key", [None, "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg="])
def test_the_key_of_the_backup_is_needed(likeness: Command, file: Path, elsewhere: Path, key: str | None) -> None:
    settings: dict[str, str | Path] = {"data_dir": elsewhere, **({"encryption_key": key} if key else {})}

    assert "the gallery is encrypted" in refusal(likeness, "restore", file, **settings)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("what", ["cut", "changed", "empty", "another file", "another tar", "odd", "newer"])
def test_a_backup_that_is_not_as_it_was_written_is_refused(
    likeness: Command, file: Path, elsewhere: Path, what: str
) -> None:
    data = file.read_bytes()
    at = data.index(b"SQLite format 3")
    with tarfile.open(fileobj=(another := io.BytesIO()), mode="w") as tar:
        tar.addfile(tarfile.TarInfo("another"))
    changes = {
        "cut": data[: at + 5000],
        "changed": data[: at + 5000] + bytes([data[at + 5000] ^ 1]) + data[at + 5001 :],
        "empty": b"",
        "another file": b"SQLite format 3" * 999,
        "another tar": another.getvalue(),
        "odd": data.replace(b'"format"', b'"formed"'),
        "newer": data.replace(b"likeness-backup-1", b"likeness-backup-9"),
    }
    file.write_bytes(changes[what])
    said = refusal(likeness, "restore", file, data_dir=elsewhere, encryption_key=KEY)

    assert "backup" in said
    assert list(elsewhere.iterdir()) == []


def test_there_must_be_a_gallery_to_back_up(likeness: Command, tmp_path: Path) -> None:
    assert "no gallery in" in refusal(likeness, "backup", tmp_path / "all.backup")
    assert not (tmp_path / "all.backup").exists()


@pytest.fixture
def separate(likeness: Command, repository: FileRepository, tmp_path: Path) -> tuple[Path, Path]:
    """A backup without keys, and its keys."""
    assert repository.galleries()
    file, keys = tmp_path / "all.backup", tmp_path / "all.keys"
    assert likeness("backup", file, "--keys", keys, encryption_key=KEY).exit_code == 0
    return file, keys


def test_keys_in_a_file_of_their_own_are_needed_to_restore(
    likeness: Command, separate: tuple[Path, Path], elsewhere: Path, tmp_path: Path
) -> None:
    file, keys = separate
    with tarfile.open(file) as tar:
        assert tar.getnames() == ["manifest.json", "gallery.sqlite3"]
    assert keys.stat().st_mode & 0o077 == 0
    assert "expected --keys" in refusal(likeness, "restore", file, data_dir=elsewhere, encryption_key=KEY)
    with closing(FileRepository(tmp_path / "other" / "gallery.sqlite3", cipher=CIPHER)):
        others = tmp_path / "other" / "gallery.sqlite3-keys"
        words = refusal(likeness, "restore", file, "--keys", others, data_dir=elsewhere, encryption_key=KEY)
        assert "has the keys of another gallery" in words
    done = likeness("restore", file, "--keys", keys, "--json", data_dir=elsewhere, encryption_key=KEY)

    assert (done.exit_code, json.loads(done.stdout)["left_out"]) == (0, [])
    assert rows(elsewhere)["faces"] == rows(likeness.data)["faces"]


@pytest.mark.parametrize("source", ["a later backup", "the data directory"])
def test_with_later_keys_a_backup_is_without_those_who_were_erased_since(
    likeness: Command,
    repository: FileRepository,
    separate: tuple[Path, Path],
    elsewhere: Path,
    tmp_path: Path,
    source: str,
) -> None:
    file, keys = separate
    repository.delete_subject("guests", "ada")
    repository.enroll("guests", "late", numbered("late", 9))
    if source == "a later backup":
        assert likeness("backup", tmp_path / "later", "--keys", keys, encryption_key=KEY).exit_code == 0
    else:
        keys = likeness.data / "gallery.sqlite3-keys"
    done = likeness("restore", file, "--keys", keys, "--json", data_dir=elsewhere, encryption_key=KEY)
    document = json.loads(done.stdout)

    assert (done.exit_code, document["damage"]) == (0, [])
    assert len(document["left_out"]) == 1
    assert "subject 'ada'" in document["left_out"][0]
    with closing(FileRepository(elsewhere / "gallery.sqlite3", cipher=CIPHER)) as restored_repository:
        assert restored_repository.check_integrity() == []
        assert [each.subject_id for each in restored_repository.subjects("guests", 9, "")] == []
        assert [each.subject_id for each in restored_repository.subjects("staff", 9, "")] == ["eve"]
        assert len(keys_of(elsewhere / "gallery.sqlite3")) == 1


def test_a_backup_has_the_keys_that_it_needs_whatever_is_replaced_meanwhile(
    likeness: Command, repository: FileRepository, tmp_path: Path, elsewhere: Path
) -> None:
    over = threading.Event()

    def replace() -> None:
        number = 0
        while not over.is_set() and number < 9999:
            repository.put_subject("guests", "ada", {"number": number})
            number += 1

    worker = threading.Thread(target=replace, daemon=True)
    worker.start()
    try:
        for number in range(3):
            done = likeness("backup", tmp_path / str(number), encryption_key=KEY)
            assert done.exit_code == 0, done.stderr
    finally:
        over.set()
        worker.join(30)
    for number in range(3):
        document = restored(likeness, tmp_path / str(number), elsewhere.with_name(str(number)))

        assert document["damage"] == []
    assert repository.settle_erasures() == 0
    assert len(keys_of(likeness.data / "gallery.sqlite3")) == 2


def test_keys_that_were_changed_in_a_backup_are_refused(likeness: Command, file: Path, elsewhere: Path) -> None:
    data = file.read_bytes()
    at = data.index(b"likeness-keys-1") + 200
    file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])

    assert "the keys in the backup were changed" in refusal(
        likeness, "restore", file, data_dir=elsewhere, encryption_key=KEY
    )


def test_a_plain_backup_has_no_keys_and_takes_none(likeness: Command, tmp_path: Path, elsewhere: Path) -> None:
    plain, keys = tmp_path / "plain", tmp_path / "keys"
    with closing(FileRepository(plain / "gallery.sqlite3")) as opened:
        opened.enroll("guests", "ada", numbered("ada", 1))
    done = likeness("backup", tmp_path / "plain.backup", "--keys", keys, "--json", data_dir=plain)
    keys.write_bytes(b"")

    assert json.loads(done.stdout)["keys"] == "none"
    assert "expected no --keys" in refusal(
        likeness, "restore", tmp_path / "plain.backup", "--keys", keys, data_dir=elsewhere
    )

    assert likeness("restore", tmp_path / "plain.backup", data_dir=elsewhere).exit_code == 0
    assert [path.name for path in elsewhere.iterdir()] == ["gallery.sqlite3"]


def test_a_restore_warns_of_a_log_that_was_broken_before_the_backup(
    likeness: Command, repository: FileRepository, tmp_path: Path, elsewhere: Path
) -> None:
    assert isinstance(repository.address, Path)
    run_sql(repository.address, "UPDATE audit SET entry = '{}' WHERE seq = 2")
    likeness("backup", tmp_path / "broken", encryption_key=KEY)
    done = likeness("restore", tmp_path / "broken", data_dir=elsewhere, encryption_key=KEY)

    assert done.exit_code == 0
    assert "warning: the audit log is broken: entry 2 was changed, or one before it" in done.stderr


@pytest.mark.parametrize("version", [0, 8])
def test_a_gallery_of_an_earlier_version_stays_one_and_its_backup_is_brought_to_the_newest(
    likeness: Command, tmp_path: Path, elsewhere: Path, version: int
) -> None:
    likeness.data.mkdir()
    file = Path(shutil.copy(DATABASES / f"version_{version}.sqlite3", likeness.data / "gallery.sqlite3"))
    assert likeness("backup", tmp_path / "old").exit_code == 0
    with closing(sqlite3.connect(file)) as db:
        (after,) = db.execute("PRAGMA user_version").fetchone()
        (entry,) = db.execute("SELECT entry FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    document = json.loads(likeness("restore", tmp_path / "old", "--json", data_dir=elsewhere).stdout)

    assert (after, json.loads(entry)["action"], document["damage"]) == (version, "gallery.backup", [])
    assert len(rows(elsewhere)["faces"]) == document["counts"]["faces"] > 0
