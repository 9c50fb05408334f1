"""A start takes a large index from its snapshot, which an erasure destroys and which is thrown away when in doubt."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from app.domain.embeddings import Embedding
from app.domain.identity import Actor
from app.gallery import index_file, key_rotation
from app.gallery.fixed_point import decode
from app.gallery.index_file import IndexInfo, InvalidIndexFile
from app.gallery.ranking import Hit
from app.gallery.repository import GalleryRepository
from app.gallery.sealed_values import aad
from app.gallery.search import GallerySearch
from app.gallery.segment import CodedFaces
from app.gallery.snapshots import IndexSnapshots, snapshots_of
from app.storage.cipher import AesGcmCipher, Cipher, NoCipher
from app.storage.sqlite import Database
from tests.support.fakes import WeightedOffsets
from tests.support.repository import FileRepository
from tests.support.templates import MODEL, numbered, unit

CIPHERS: dict[str, Cipher] = {"plain": NoCipher(), "encrypted": AesGcmCipher([b"k" * 32])}
PATIENCE = 30.0


@pytest.fixture(params=CIPHERS)
def cipher(request: pytest.FixtureRequest) -> Cipher:
    return CIPHERS[request.param]


@pytest.fixture
def repository(path: Path, cipher: Cipher) -> Iterator[FileRepository]:
    with closing(FileRepository(path, cipher=cipher)) as opened:
        yield opened


@pytest.fixture
def search(repository: FileRepository) -> GallerySearch:
    """The search of a gallery with three faces, whose snapshot is written."""
    repository.enroll("guests", "ada", numbered("ada", 1, 2))
    repository.enroll("guests", "bob", numbered("bob", 3))
    search = opened_search(repository)
    search.save_snapshots()
    assert files_of(repository)
    return search


def opened_search(repository: GalleryRepository) -> GallerySearch:
    search = GallerySearch(repository, snapshot_faces=3)
    search.load_indexes()
    return search


def file_of(repository: FileRepository) -> Database:
    assert isinstance(repository.database, Database)
    return repository.database


def files_of(repository: FileRepository) -> list[Path]:
    return [path for path in file_of(repository).path.parent.glob("*-index-*") if not path.name.endswith("-lock")]


def found(search: GallerySearch, seed: int) -> list[Hit]:
    return search.search("guests", Embedding(unit(seed), MODEL), 5, 4.0)[1]


class ReadRows:
    """Counts the faces that an index is given from rows."""

    def __init__(self, repository: GalleryRepository, monkeypatch: pytest.MonkeyPatch) -> None:
        self.faces = 0
        self._changes_since = repository.changes_since
        monkeypatch.setattr(repository, "changes_since", self._count)

    def _count(self, *arguments: object, **options: object) -> object:
        gallery, changes = self._changes_since(*arguments, **options)  # type: ignore[arg-type]
        self.faces += len(changes.added)
        return gallery, changes


def test_a_start_takes_the_index_from_the_snapshot_and_only_newer_faces_from_rows(
    repository: FileRepository, search: GallerySearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.enroll("guests", "eve", numbered("eve", 4))
    rows = ReadRows(repository, monkeypatch)
    again = opened_search(repository)

    assert rows.faces == 1
    assert [found(again, seed) for seed in range(6)] == [found(search, seed) for seed in range(6)]


def test_the_snapshot_is_as_private_as_the_database(repository: FileRepository, search: GallerySearch) -> None:
    (path,) = files_of(repository)

    assert found(search, 1)
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"ada" not in path.read_bytes()
    assert unit(1).tobytes()[:16] not in path.read_bytes()


ERASURES: dict[str, Callable[[FileRepository], object]] = {
    "a face": lambda repository: repository.delete_face("guests", "ada", "1"),
    "a subject": lambda repository: repository.delete_subject("guests", "bob"),
    "a gallery": lambda repository: repository.delete_gallery("guests"),
    "all faces, by retention": lambda repository: repository.expire("9999", Actor("retention")),
}


@pytest.mark.parametrize("what", ERASURES)
def test_an_erasure_destroys_the_snapshot_before_it_is_answered(
    repository: FileRepository, search: GallerySearch, what: str, tmp_path: Path
) -> None:
    """Its key is overwritten in place, so that the blocks of the removed file cannot be read either."""
    (path,) = files_of(repository)
    number = repository.gallery("guests").number
    remains = tmp_path / "remains"
    os.link(path, remains)
    before = repository.snapshots.info(number)
    ERASURES[what](repository)

    assert search
    assert before is not None
    assert files_of(repository) == []
    with remains.open("rb") as file, pytest.raises(InvalidIndexFile):
        index_file.Reader(file, repository._cipher, number)


def test_enrolling_leaves_the_snapshot_and_a_rekeyed_gallery_does_not(
    repository: FileRepository, search: GallerySearch, cipher: Cipher
) -> None:
    repository.enroll("guests", "eve", numbered("eve", 4))
    repository.put_subject("guests", "eve", {"name": "Eve"})
    kept = files_of(repository)
    if isinstance(cipher, AesGcmCipher):
        repository.rekey_gallery("guests")

    assert found(search, 4)
    assert len(kept) == 1
    assert len(files_of(repository)) == (0 if isinstance(cipher, AesGcmCipher) else 1)


def test_another_master_key_destroys_the_snapshot(path: Path) -> None:
    old, new = b"o" * 32, b"n" * 32
    with closing(FileRepository(path, cipher=AesGcmCipher([old]))) as repository:
        repository.enroll("guests", "ada", numbered("ada", 1, 2, 3))
        opened_search(repository).save_snapshots()
        before = files_of(repository)
        key_rotation.rotate(repository.database, AesGcmCipher([new, old]), Actor("retention"))

        assert len(before) == 1
        assert files_of(repository) == []


@pytest.mark.parametrize("place", [0.0, 0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("damage", ["changed", "cut"])
def test_a_damaged_snapshot_is_thrown_away_and_the_rows_are_read(
    repository: FileRepository, search: GallerySearch, place: float, damage: str
) -> None:
    (path,) = files_of(repository)
    data = bytearray(path.read_bytes())
    used = [0, *range(index_file.HEADER_BYTES, len(data))]  # without the padding of the header
    position = used[int(place * len(used))]
    data[position] ^= 1
    path.write_bytes(data if damage == "changed" else data[:position])
    again = opened_search(repository)

    assert [found(again, seed) for seed in range(6)] == [found(search, seed) for seed in range(6)]
    assert files_of(repository) == []


def test_the_snapshot_of_a_database_that_was_restored_is_thrown_away(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The restored one has another history with as many revisions."""
    backup = tmp_path / "backup"
    with closing(FileRepository(path)) as repository:
        repository.enroll("guests", "ada", numbered("ada", 1, 2, 3))
        file_of(repository).copy_into(backup)
        repository.enroll("guests", "bob", numbered("bob", 4))
        opened_search(repository).save_snapshots()
    shutil.copyfile(backup, path)
    with closing(FileRepository(path)) as repository:
        repository.enroll("guests", "eve", numbered("eve", 5))
        rows = ReadRows(repository, monkeypatch)
        again = opened_search(repository)

        assert rows.faces == 4
        assert {hit.subject_id for hit in found(again, 1)} == {"ada", "eve"}


def test_other_threshold_offsets_throw_the_snapshot_away(path: Path) -> None:
    offsets = [WeightedOffsets([weight, 0, 0, 0, 0, 0, 0, 0], MODEL) for weight in (0.5, 0.7)]
    found_offsets = []
    for each in offsets:
        with closing(FileRepository(path, offsets=each)) as repository:
            if each is offsets[0]:
                repository.enroll("guests", "ada", numbered("ada", 1, 2, 3))
            search = opened_search(repository)
            search.save_snapshots()
            found_offsets.append(found(search, 1)[0].pair.offset)

    assert found_offsets == [pytest.approx(float(each.of(unit(1)[None])[0])) for each in offsets]


def test_small_galleries_have_no_snapshot_and_deleted_ones_lose_it_at_the_next_start(
    repository: FileRepository,
) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1, 2))
    opened_search(repository).save_snapshots()
    small = files_of(repository)
    left = file_of(repository).path.with_name(f"{file_of(repository).path.name}-index-77")
    left.write_bytes(b"of a gallery that is gone")
    opened_search(repository)

    assert small == []
    assert not left.exists()


def info_of(repository: FileRepository) -> IndexInfo:
    return IndexInfo(repository.gallery("guests"), repository.audit_head())


def test_nothing_is_written_of_what_was_erased_before(repository: FileRepository) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1, 2, 3))
    info = info_of(repository)
    repository.delete_face("guests", "ada", "1")
    written = repository.snapshots.save(info, [], lambda: repository.removed_since(info.gallery))
    repository.delete_gallery("guests")

    assert not written
    assert repository.removed_since(info.gallery)
    assert files_of(repository) == []


def test_an_erasure_waits_until_a_snapshot_that_is_being_written_is_destroyed(
    repository: FileRepository, search: GallerySearch, tmp_path: Path
) -> None:
    index = search._indexed["guests"].index
    assert index is not None
    contents = list(index.contents())
    erased, remains, info = threading.Event(), tmp_path / "remains", info_of(repository)

    def erase() -> None:
        repository.delete_face("guests", "ada", "1")
        erased.set()

    eraser = threading.Thread(target=erase, daemon=True)

    def while_erasing() -> Iterator[CodedFaces]:
        yield from contents
        (new,) = [path for path in file_of(repository).path.parent.iterdir() if path.suffix == ".new"]
        os.link(new, remains)
        eraser.start()
        while new.exists():
            threading.Event().wait(0.001)
        assert not erased.wait(0.05)
        yield from contents

    written = repository.snapshots.save(info, while_erasing(), lambda: repository.removed_since(info.gallery))

    assert not written
    assert erased.wait(PATIENCE)
    assert files_of(repository) == []
    with remains.open("rb") as file, pytest.raises(InvalidIndexFile):
        index_file.Reader(file, repository._cipher, info.gallery.number)


def seeds_in_snapshots(repository: FileRepository) -> set[int]:
    """Return the seeds of the vectors that can be read in any snapshot."""
    found = set()
    for gallery in repository.galleries():
        with repository.snapshots.opened(gallery.number) as reader:
            for each in reader.contents() if reader else ():
                parts = each.vectors
                vectors = repository.transform(gallery).to_model(
                    decode(parts.high, parts.low, parts.exponent).astype(np.float32)
                )
                found |= {seed for seed in range(30) if (vectors @ unit(seed) > 0.9999).any()}
    return found


@pytest.mark.parametrize("what", ["a face", "a subject"])
def test_no_snapshot_has_an_erased_vector_neither_at_once_nor_later(
    repository: FileRepository, search: GallerySearch, what: str
) -> None:
    repository.enroll("guests", "eve", numbered("eve", 11, 12, 13))
    search.save_snapshots()
    before = seeds_in_snapshots(repository)
    ERASURES[what](repository)
    at_once = seeds_in_snapshots(repository)
    search.save_snapshots()

    assert before == {1, 2, 3, 11, 12, 13}
    assert at_once == set()
    assert seeds_in_snapshots(repository) == before - ({1} if what == "a face" else {3})


def test_a_gallery_that_another_process_deletes_is_left_out_and_the_others_are_written(
    repository: FileRepository, search: GallerySearch
) -> None:
    for seed in (4, 5, 6):
        repository.enroll("staff", "cleo", numbered("cleo", seed))
    search.search("staff", Embedding(unit(4), MODEL), 5, 4.0)
    repository.delete_gallery("guests")
    assert files_of(repository) == []

    search.save_snapshots()
    assert len(files_of(repository)) == 1


def test_nothing_is_written_while_another_process_writes_or_without_a_file(
    repository: FileRepository, search: GallerySearch
) -> None:
    (path,) = files_of(repository)
    search.save_snapshots()
    repository.enroll("guests", "eve", numbered("eve", 4, 5, 6))
    assert found(search, 4)
    before, others = path.read_bytes(), snapshots_of(repository.database, NoCipher())
    with others._locked(wait=True):
        search.save_snapshots()
    assert path.read_bytes() == before
    search.save_snapshots()
    assert path.read_bytes() != before
    without_file = IndexSnapshots(None, NoCipher())

    assert not without_file.save(info_of(repository), [], lambda: False)
    assert without_file.info(1) is None


def test_a_failure_while_a_snapshot_is_written_passes_on_and_leaves_the_one_before(
    repository: FileRepository, search: GallerySearch
) -> None:
    def failing() -> Iterator[CodedFaces]:
        yield from ()
        raise OSError("no space")

    before = files_of(repository)
    with pytest.raises(OSError, match="no space"):
        repository.snapshots.save(info_of(repository), failing(), lambda: False)

    assert found(search, 1)
    assert files_of(repository) == before
    assert repository.snapshots.info(repository.gallery("guests").number) == info_of(repository)


def test_a_file_that_is_no_snapshot_tells_nothing_and_is_removed(
    repository: FileRepository, search: GallerySearch
) -> None:
    (path,) = files_of(repository)
    path.write_bytes(b"something else")

    assert found(search, 1)
    assert repository.snapshots.info(repository.gallery("guests").number) is None
    assert files_of(repository) == []


CHUNK = index_file.HEADER_BYTES  # where the first one begins, after its length
LENGTH = slice(len(index_file._MAGIC), len(index_file._MAGIC) + 4)
LIST = AesGcmCipher([bytes(32)]).encrypt(b"[]", aad("chunk", 0))


@pytest.mark.parametrize("cipher", [NoCipher()], ids=["plain"])
@pytest.mark.parametrize(
    ("place", "data", "message"),
    [
        (LENGTH, b"\x1f\0\0\0", "the header has no key"),
        (slice(LENGTH.stop, CHUNK), bytes(CHUNK - LENGTH.stop), "chunk 0 was changed"),
        (slice(CHUNK, CHUNK + 4), b"\xff\xff\xff\xff", "expected another chunk"),
        (slice(CHUNK, None), b"", "expected another chunk"),
        (slice(LENGTH.stop, None), bytes(CHUNK - LENGTH.stop) + index_file._with_length(LIST), "expected an object"),
    ],
    ids=["short key", "another key", "long chunk", "no chunk", "a list"],
)
def test_what_is_wrong_with_the_file_of_an_index_is_said(
    repository: FileRepository, place: slice, data: bytes, message: str
) -> None:
    repository.create_gallery("guests")
    written = BytesIO()
    index_file.write(written, NoCipher(), info_of(repository), [], lambda: None)
    content = bytearray(written.getvalue())
    content[place] = data

    with pytest.raises(InvalidIndexFile, match=message):
        index_file.Reader(BytesIO(content), NoCipher(), repository.gallery("guests").number)


@pytest.mark.parametrize("cipher", [NoCipher()], ids=["plain"])
def test_the_file_of_an_index_needs_the_key_that_it_was_written_with(repository: FileRepository) -> None:
    repository.create_gallery("guests")
    info, written = info_of(repository), BytesIO()
    index_file.write(written, CIPHERS["encrypted"], info, [], lambda: None)
    with pytest.raises(InvalidIndexFile, match="the key of the file cannot be decrypted"):
        index_file.Reader(BytesIO(written.getvalue()), AesGcmCipher([b"o" * 32]), info.gallery.number)
