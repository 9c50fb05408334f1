"""LIKENESS_DATA_KEYS_DIR: the data keys of an encrypted gallery in a directory of their own."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.bootstrap.storage import open_repository
from app.domain.errors import StartError
from app.gallery.repository import GalleryRepository
from app.settings import Settings
from tests.support.templates import numbered
from tests.unit.cli.conftest import Command

KEY = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="
FILE = "gallery.sqlite3-keys"


@pytest.fixture
def keys_dir(tmp_path: Path) -> Path:
    return tmp_path / "volume" / "keys"


@contextmanager
def opened(data_dir: Path, keys_dir: Path | None) -> Iterator[GalleryRepository]:
    settings = Settings(data_dir=data_dir, data_keys_dir=keys_dir, encryption_key=KEY, _env_file=None)
    with open_repository(settings) as repository:
        yield repository


def enroll(repository: GalleryRepository, subject_id: str, number: int) -> None:
    repository.put_subject("default", subject_id, {})
    repository.enroll("default", subject_id, numbered(subject_id, number))


def test_a_snapshot_of_the_database_alone_shows_nobody_who_was_erased_since(tmp_path: Path, keys_dir: Path) -> None:
    with opened(tmp_path / "data", keys_dir) as repository:
        enroll(repository, "ada", 1)
        enroll(repository, "bob", 2)
        shutil.copytree(tmp_path / "data", tmp_path / "snapshot")
        repository.delete_subject("default", "ada")

    assert not (tmp_path / "snapshot" / FILE).exists()
    assert keys_dir.stat().st_mode & 0o777 == 0o700
    with opened(tmp_path / "snapshot", keys_dir) as snapshot:
        assert {row.subject_id for row in snapshot.check_integrity()} == {"ada"}


def test_where_the_keys_are_the_gallery_opens_and_elsewhere_the_message_says_how(
    tmp_path: Path, keys_dir: Path
) -> None:
    data = tmp_path / "data"
    with opened(data, None) as repository:
        enroll(repository, "ada", 1)
    with pytest.raises(StartError, match="move it while nothing uses it"), opened(data, keys_dir):
        pass
    keys_dir.mkdir(parents=True)
    shutil.copy(data / FILE, keys_dir)
    with pytest.raises(StartError, match="`shred -u`"), opened(data, keys_dir):
        pass
    (data / FILE).unlink()
    with opened(data, keys_dir) as repository:
        assert len(repository.faces("default", "ada")) == 1
    with pytest.raises(StartError, match="set LIKENESS_DATA_KEYS_DIR to where it is"), opened(data, None):
        pass


def test_a_directory_that_cannot_be_written_to_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    words = "cannot write to LIKENESS_DATA_KEYS_DIR"
    with pytest.raises(StartError, match=words), opened(tmp_path / "data", tmp_path / "file"):
        pass


def test_a_backup_has_them_and_is_restored_to_both_places(likeness: Command, tmp_path: Path, keys_dir: Path) -> None:
    with opened(likeness.data, keys_dir) as repository:
        enroll(repository, "ada", 1)
    file, data, keys = tmp_path / "all.backup", tmp_path / "elsewhere" / "data", tmp_path / "elsewhere" / "keys"
    made = likeness("backup", file, encryption_key=KEY, data_keys_dir=keys_dir)
    assert made.exit_code == 0, made.output
    done = likeness("restore", file, "--json", encryption_key=KEY, data_dir=data, data_keys_dir=keys)

    assert json.loads(done.stdout)["damage"] == [], done.output
    assert [path.name for path in keys.iterdir()] == [FILE]
    assert [path.name for path in data.iterdir()] == ["gallery.sqlite3"]
    again = likeness("restore", file, encryption_key=KEY, data_dir=tmp_path / "empty", data_keys_dir=keys)
    assert "replaces no gallery" in again.stderr
    with opened(data, keys) as repository:
        assert len(repository.faces("default", "ada")) == 1
