"""A process that is killed between the key file and the database, either way, loses nothing and keeps nothing."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.storage.cipher import AesGcmCipher
from app.storage.key_file import key_path
from tests.support.repository import FileRepository
from tests.support.templates import numbered
from tests.unit.gallery.attacker import copied, keys_of, values_opened
from tests.unit.gallery.encrypting import NEW, OLD, cipher, opened
from tests.unit.gallery.guests import contents

pytestmark = pytest.mark.slow  # processes
VERSION_0 = Path(__file__).with_name("databases") / "version_0_encrypted.sqlite3"
VERSION_0_KEY = bytes([7]) * 32
KILLED = """
import os, signal, sys
from pathlib import Path
from app.domain.identity import SYSTEM
from app.gallery import key_rotation
from app.storage.key_file import KeyFile
from tests.support.templates import numbered
from tests.unit.gallery.encrypting import NEW, OLD, cipher, opened

def die(*_): os.kill(os.getpid(), signal.SIGKILL)

def die_after(name):
    method = getattr(KeyFile, name)

    def done_with_keys(file, *arguments):
        method(file, *arguments)
        if next(file.records(), None):
            die()

    setattr(KeyFile, name, done_with_keys)

path, what, key = Path(sys.argv[1]), sys.argv[2], bytes.fromhex(sys.argv[3])
if what == "upgrade":
    die_after("sync")
with opened(path, cipher(key)) as repository:
    if what == "enroll":
        die_after("sync")
        repository.enroll("guests", "eve", numbered("eve", 9))
    if what == "delete":
        KeyFile.clear = die
        repository.delete_subject("guests", "ada")
    if what == "rotate":
        die_after("replace")
        key_rotation.rotate(repository.database, cipher(NEW, OLD), SYSTEM)
"""


def kill_in(what: str, path: Path, key: bytes = OLD) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, path, what, key.hex()],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL


@pytest.fixture
def filled(path: Path) -> Path:
    with opened(path, cipher(OLD)) as repository:
        repository.enroll("guests", "ada", numbered("ada", 1))
        repository.enroll("guests", "bob", numbered("bob", 2))
    return path


def people(repository: FileRepository) -> list[str]:
    repository.settle_after_crash()
    assert repository.check_integrity() == []
    return list(contents(repository, "guests"))


def test_an_enrollment_that_was_not_committed_leaves_no_key(filled: Path) -> None:
    kill_in("enroll", filled)
    left = len(keys_of(filled))
    with opened(filled, cipher(OLD)) as repository:
        assert people(repository) == ["ada", "bob"]

    assert (left, len(keys_of(filled))) == (3, 2)


def test_an_erasure_that_was_committed_is_finished_at_the_next_start(filled: Path, tmp_path: Path) -> None:
    before = copied(filled, tmp_path / "before")
    kill_in("delete", filled)
    left = len(keys_of(filled))
    with opened(filled, cipher(OLD)) as repository:
        assert people(repository) == ["bob"]

    assert (left, len(keys_of(filled))) == (2, 1)
    assert {subject for _, subject, *_ in values_opened(before, key_path(filled), [OLD])} == {"bob"}


def test_a_rotation_that_was_not_committed_can_be_repeated(filled: Path) -> None:
    kill_in("rotate", filled)
    for keys in ((NEW, OLD), (OLD, NEW)):
        with opened(filled, cipher(*keys)) as repository:
            assert people(repository) == ["ada", "bob"]
    assert not list(filled.parent.glob("*.old"))


def test_an_encrypted_gallery_of_an_earlier_version_is_converted_whole_or_not(path: Path) -> None:
    shutil.copyfile(VERSION_0, path)
    with opened(path, AesGcmCipher([VERSION_0_KEY])) as repository:
        expected = contents(repository, "people")
    shutil.copyfile(VERSION_0, path)
    key_path(path).unlink()
    kill_in("upgrade", path, VERSION_0_KEY)
    assert len(keys_of(path)) == 2
    with opened(path, AesGcmCipher([VERSION_0_KEY])) as repository:
        repository.settle_after_crash()

        assert contents(repository, "people") == expected
    assert len(keys_of(path)) == 2
    path.with_name("nothing").write_bytes(b"likeness-keys-1\n".ljust(128))
    assert values_opened(path, path.with_name("nothing"), [VERSION_0_KEY]) == set()
