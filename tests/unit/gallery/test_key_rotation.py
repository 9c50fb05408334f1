"""A rotation changes who can open the gallery, and nothing else."""

import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.audit.log import AuditLog
from app.domain.errors import Overloaded, StartError
from app.domain.identity import SYSTEM, Actor
from app.gallery import key_rotation
from app.gallery.records import IdempotencyRecord
from app.gallery.repository import GalleryRepository
from app.storage.cipher import AesGcmCipher, Cipher
from app.storage.migrate import open_migrated
from tests.support.templates import template, unit
from tests.unit.gallery.encrypting import NEW, OLD, OTHER, cipher, enroll_all_kinds, kinds_found, opened
from tests.unit.gallery.guests import contents, fill

IDS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PEOPLE = st.dictionaries(
    IDS, st.tuples(st.dictionaries(st.text(max_size=5), JSON, max_size=3), st.integers(0, 3)), max_size=4
)
BEFORE: list[Cipher | None] = [None, cipher(OLD), cipher(NEW), cipher(OTHER, OLD)]


def rotate(path: Path, keys: AesGcmCipher, by: Actor = SYSTEM) -> int:
    with closing(open_migrated(path)) as database:
        return key_rotation.rotate(database, keys, by)


def state(repository: GalleryRepository) -> dict[str, Any]:
    """Everything that can be asked for, of every gallery."""
    return {
        gallery.id: (gallery, contents(repository, gallery.id), repository.subjects(gallery.id, 1000, ""))
        for gallery in repository.galleries()
    }


@pytest.mark.slow
@settings(max_examples=15)
@given(people=PEOPLE, before=st.sampled_from(BEFORE))
def test_whatever_there_was_is_there_with_the_new_key_alone(
    people: dict[str, tuple[dict[str, Any], int]], before: Cipher | None
) -> None:
    folder = Path(tempfile.mkdtemp())
    path = folder / "gallery.sqlite3"
    with opened(path, before) as repository:
        for number, (name, (metadata, faces)) in enumerate(people.items()):
            repository.put_subject("guests", name, metadata)
            made = [template(f"{number}/{face}", name, unit(10 * number + face)) for face in range(faces)]
            repository.enroll("guests", name, made, IdempotencyRecord("key", "request", metadata))
        kept = state(repository)
    count = rotate(path, cipher(NEW, OTHER, OLD))
    with opened(path, cipher(NEW)) as repository:
        now = state(repository)
        answers = {name: repository.saved_response("guests", name, "key", "request") for name in people}
    shutil.rmtree(folder)

    assert now == kept
    assert answers == {name: metadata for name, (metadata, _) in people.items()}
    assert count == sum(faces for _, faces in people.values())


def test_the_old_key_alone_opens_nothing_any_more(path: Path) -> None:
    with opened(path, cipher(OLD)) as repository:
        fill(repository)
    rotate(path, cipher(NEW, OLD))

    with pytest.raises(StartError, match="another key"), opened(path, cipher(OLD)):
        pass


def test_of_a_gallery_that_was_in_clear_nothing_is_left_to_read(path: Path) -> None:
    with opened(path, None) as repository:
        enroll_all_kinds(repository)
    before = kinds_found(path)
    rotate(path, cipher(NEW))

    assert before == {"vector", "detection", "metadata", "consent", "answer"}
    assert kinds_found(path) == set()


def test_not_even_while_another_process_has_it_open(repository: GalleryRepository, path: Path) -> None:
    enroll_all_kinds(repository)
    rotate(path, cipher(NEW))

    assert kinds_found(path) == set()
    with pytest.raises(Overloaded, match="encryption key was changed"):
        repository.faces("guests", "ada")


@pytest.mark.parametrize("keys", [cipher(NEW), cipher(NEW, OTHER)])
def test_without_the_key_it_has_nothing_is_rotated(path: Path, keys: AesGcmCipher) -> None:
    with opened(path, cipher(OLD)) as repository:
        fill(repository)
        kept = state(repository)

    with pytest.raises(StartError, match="another key"):
        rotate(path, keys)
    with opened(path, cipher(OLD)) as repository:
        assert state(repository) == kept


def test_it_may_be_done_again_and_back_again(path: Path) -> None:
    with opened(path, None) as repository:
        fill(repository)
        kept = state(repository)
    for keys in (cipher(OLD), cipher(OLD), cipher(NEW, OLD), cipher(OLD, NEW)):
        rotate(path, keys)
    with opened(path, cipher(OLD)) as repository:
        assert state(repository) == kept


def test_the_audit_log_says_who_did_it_and_stays_whole(path: Path) -> None:
    with opened(path, None) as repository:
        fill(repository)
    rotate(path, cipher(NEW), Actor("cli:ada"))
    with closing(open_migrated(path, cipher(NEW))) as database:
        log = AuditLog(database)
        last = log.entries()[-1]

        assert (last["by"], last["action"], last["faces"]) == ("cli:ada", "gallery.rotate", 3)
        assert log.verify().fault is None
