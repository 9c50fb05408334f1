"""No page of the file, inner ones included, keeps the private values of erased subjects."""

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.gallery.records import IdempotencyRecord
from app.storage import rewriting
from app.storage.sqlite import Database
from tests.support.repository import FileRepository
from tests.support.templates import template, unit

SUBJECTS = 564


def marker(subject: str) -> str:
    return f"marker of {subject} <"


def kept(path: Path, subjects: list[str]) -> list[str]:
    data = b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))
    return [subject for subject in subjects if marker(subject).encode() in data]


def fill(repository: FileRepository, chance: random.Random) -> list[str]:
    subjects = [f"subject {chance.getrandbits(64):020}" for _ in range(SUBJECTS)]
    for number, subject in enumerate(subjects):
        note = marker(subject) + "." * chance.randrange(300)
        repository.put_subject("guests", subject, {"note": note})
        record = IdempotencyRecord("key", "digest", {"note": note})
        repository.enroll("guests", subject, [template(str(number), subject, unit(number % 9, 128))], record)
    return subjects


def erase(repository: FileRepository, subjects: list[str]) -> None:
    with repository.database.deleting() as db:  # one transaction, to be quick; the trees change as with many
        for subject in subjects:
            db.execute("DELETE FROM subjects WHERE id = ?", (subject,))


@pytest.mark.slow
def test_inner_pages_keep_no_metadata_and_no_answer_of_the_erased(repository: FileRepository, path: Path) -> None:
    """With this seed the tables WITHOUT ROWID of schema version 3 kept some."""
    chance = random.Random(3)  # noqa: S311
    subjects = fill(repository, chance)
    assert kept(path, subjects) == subjects
    chance.shuffle(subjects)
    erased = subjects[SUBJECTS // 10 :]
    erase(repository, erased)

    assert kept(path, erased) == []
    erase(repository, subjects)
    assert kept(path, subjects) == []


@dataclass(frozen=True)
class Filled:
    """A file that was filled with this seed, and how chance went on."""

    file: Path
    subjects: list[str]
    chance: random.Random


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    """With this seed the copy of a row stays in a page that has become emptier, and the row is erased later."""
    file, chance = tmp_path_factory.mktemp("filled") / "gallery.sqlite3", random.Random(2)  # noqa: S311
    with closing(FileRepository(file)) as repository:
        return Filled(file, fill(repository, chance), chance)


@pytest.fixture
def copied(filled: Filled, path: Path) -> Path:
    """Its copy, which the fixture `repository` opens."""
    return Path(shutil.copyfile(filled.file, path))


@pytest.mark.slow
@pytest.mark.usefixtures("copied")  # before the repository
@pytest.mark.parametrize("rewrite", [FileRepository.settle_erasures, FileRepository.vacuum])
def test_rewriting_the_file_removes_what_joining_pages_left(
    filled: Filled, repository: FileRepository, path: Path, rewrite: Callable[[FileRepository], object]
) -> None:
    subjects, chance = list(filled.subjects), copy(filled.chance)
    chance.shuffle(subjects)
    erased = subjects[SUBJECTS // 10 :]
    erase(repository, erased)
    left = kept(path, erased)
    rewrite(repository)
    rewritten = path.stat().st_mtime_ns
    repository.settle_erasures()

    assert len(left) == 1
    assert kept(path, erased) == []
    assert len(kept(path, subjects)) == SUBJECTS // 10
    assert path.stat().st_mtime_ns == rewritten, "nothing was erased since, and it was rewritten again"


@pytest.mark.usefixtures("copied")  # before the repository
def test_a_file_is_rewritten_only_while_it_is_small_and_other_processes_know_that_it_was(
    filled: Filled, repository: FileRepository, others: FileRepository, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    erase(repository, filled.subjects[1:])
    with monkeypatch.context() as patch:
        patch.setattr(rewriting, "MAX_BYTES", 1000)
        repository.settle_erasures()
        large = path.stat().st_size
    others.settle_erasures()
    small = path.stat()
    repository.settle_erasures()

    assert small.st_size < large / 2
    assert path.stat().st_mtime_ns == small.st_mtime_ns


def test_no_table_with_private_values_keeps_rows_in_inner_pages(repository: FileRepository, path: Path) -> None:
    assert isinstance(repository.database, Database)
    with closing(sqlite3.connect(path)) as db:
        tables = dict(db.execute("SELECT name, wr FROM pragma_table_list WHERE type = 'table'"))

    assert {name for name in ("subjects", "faces", "idempotency_keys") if tables[name]} == set()
