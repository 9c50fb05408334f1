"""An index outside of the process gives what the one in memory gives, and names nobody who is not in the rows."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.audit.log import AuditLog
from app.domain.arrays import Floats
from app.domain.embeddings import Embedding
from app.domain.errors import ModelMismatch, Overloaded, SearchUnavailable, StartError
from app.domain.ports import Nearest, NoThresholdOffsets, ThresholdOffsets, VectorIndex
from app.gallery import recall
from app.gallery.external_search import ExternalSearch
from app.gallery.search import GallerySearch
from app.storage.cipher import AesGcmCipher, Cipher, NoCipher
from app.storage.milvus import MilvusIndex
from app.storage.postgresql import vector_table
from app.storage.postgresql.database import Database as PostgresDatabase
from app.storage.postgresql.vector_table import VectorTable
from tests.support.fakes import WeightedOffsets
from tests.support.milvus import MilvusServer, running_milvus
from tests.support.postgres import PostgresServer
from tests.support.repository import FileRepository
from tests.support.templates import DIMENSION, MODEL, numbered, template, unit, with_crops
from tests.unit.gallery.test_face_index import ANY, by_hand, ids

pytestmark = pytest.mark.slow

PGVECTOR, MILVUS = "pgvector", "milvus"
KEY = AesGcmCipher([bytes(range(32))])
OFFSETS = WeightedOffsets((1.0, *[0.0] * (DIMENSION - 1)), model=MODEL)
FACE = st.tuples(st.integers(0, 12), st.sampled_from("abcd"))
QUERY = st.tuples(
    st.integers(0, 14), st.integers(1, 5), st.sampled_from([0.513, 1.013, 1.513, 2.013, ANY]), st.booleans()
)


@pytest.fixture(scope="module")
def milvus() -> Iterator[MilvusServer]:
    with running_milvus() as server:
        yield server


@pytest.fixture
def cipher() -> Cipher:
    return NoCipher()


@pytest.fixture
def offsets() -> ThresholdOffsets:
    return OFFSETS


@pytest.fixture
def repository(
    kind: str, path: Path, cipher: Cipher, offsets: ThresholdOffsets, request: pytest.FixtureRequest
) -> Iterator[FileRepository]:
    """A repository in PostgreSQL for pgvector, and in a file for Milvus."""
    if kind == "milvus":
        with closing(FileRepository(path, cipher=cipher, offsets=offsets)) as opened:
            yield opened
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database() as url, closing(FileRepository(url, cipher=cipher, offsets=offsets)) as opened:
        yield opened


@pytest.fixture
def open_index(kind: str, repository: FileRepository, request: pytest.FixtureRequest) -> Callable[[], VectorIndex]:
    """Opens the index as another process would."""
    if kind == "milvus":
        server: MilvusServer = request.getfixturevalue("milvus")
        repository.create_gallery("default")  # the first entry of the audit log names the installation
        return lambda: MilvusIndex(server.url, repository.installation(), timeout=5.0)
    database = repository.database
    assert isinstance(database, PostgresDatabase)
    return lambda: VectorTable(database, hnsw=kind == "pgvector-hnsw", graph_rows=50)


@pytest.fixture
def index(open_index: Callable[[], VectorIndex]) -> Iterator[VectorIndex]:
    with closing(open_index()) as opened:
        yield opened


@pytest.fixture
def search(repository: FileRepository, index: VectorIndex) -> ExternalSearch:
    return ExternalSearch(repository, index, candidates=3)


def probe(seed: int, offset: float = 0.0) -> Embedding:
    return Embedding(unit(seed), MODEL, offset)


def found(search: ExternalSearch, seed: int, gallery: str = "guests") -> list[str]:
    return [hit.face_id for hit in search.search(gallery, probe(seed), 10, 0.001, plain=True)[1]]


@pytest.mark.parametrize("cipher", [NoCipher(), KEY], ids=["plain", "encrypted"])
@pytest.mark.parametrize("kind", [PGVECTOR, MILVUS])
def test_the_hits_are_those_of_the_index_in_memory_and_of_looking_at_everything(
    repository: FileRepository, search: ExternalSearch
) -> None:
    names, memory = count(), GallerySearch(repository)

    @settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        steps=st.lists(st.lists(FACE, min_size=1, max_size=8), min_size=1, max_size=3),
        erased=st.sampled_from("abcd"),
        query=QUERY,
    )
    def check(steps: Sequence[Sequence[tuple[int, str]]], erased: str, query: tuple[int, int, float, bool]) -> None:
        """Vectors repeat, so that there are ties, which the ids of the faces decide."""
        gallery, numbers = f"g{next(names)}", count()
        seed, subjects, threshold, plain = query
        asked = probe(seed, 0.25)
        for step in steps:
            for number, subject in step:
                face = template(f"{next(numbers)}", subject, unit(number))
                repository.enroll(gallery, subject, [face])
            if any(subject == erased for _, subject in step):
                repository.delete_subject(gallery, erased)
            info, hits = search.search(gallery, asked, subjects, threshold, plain=plain)

            _, expected = memory.search(gallery, asked, subjects, threshold, plain=plain)
            assert hits == expected
            _, changes = repository.changes_since(gallery, None)
            turned = repository.transform(info).to_stored(asked.vector)
            base = threshold if plain else threshold - asked.threshold_offset
            assert ids(hits) == by_hand(changes.added, turned, subjects, base, plain=plain)
            assert (info.subjects, info.faces) == (len({face.subject_id for face in changes.added}), len(changes.added))

    check()


@pytest.mark.parametrize("kind", [PGVECTOR, MILVUS])
def test_what_is_erased_is_in_no_index(
    kind: str, repository: FileRepository, index: VectorIndex, search: ExternalSearch
) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1, 2))
    repository.enroll("staff", "bob", numbered("bob", 3))
    assert (found(search, 1), found(search, 3, "staff")) == (["1"], ["3"])
    numbers = {name: repository.gallery(name).number for name in ("guests", "staff")}
    asked = np.append(unit(1), np.float32(0))
    repository.delete_face("guests", "ada", "1")
    if kind == "pgvector":  # in the same transaction
        assert index.nearest(numbers["guests"], asked, 9, exact=True).face_ids == ["2"]
    search.update_index("guests")
    repository.delete_gallery("staff")
    search.update_index("staff")

    assert index.nearest(numbers["guests"], asked, 9, exact=True).face_ids == ["2"]
    assert index.numbers() == {numbers["guests"]}
    assert search.pending() == 0


@pytest.mark.parametrize("kind", ["milvus"])
def test_a_face_that_is_in_the_index_alone_is_not_found(
    repository: FileRepository, index: VectorIndex, search: ExternalSearch
) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1))
    assert found(search, 1) == ["1"]
    number = repository.gallery("guests").number
    index.add(number, ["ghost", "1"], np.stack([np.append(unit(seed), np.float32(0)) for seed in (7, 8)]))

    assert found(search, 7) == []
    assert found(search, 8) == []  # the row says how far away the face is


@pytest.mark.parametrize("cipher", [KEY], ids=["encrypted"])
@pytest.mark.parametrize("kind", [PGVECTOR, MILVUS])
def test_a_gallery_with_another_transform_gets_another_index(
    repository: FileRepository, index: VectorIndex, search: ExternalSearch
) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1, 2, 3))
    assert found(search, 1) == ["1"]
    before = stored(repository)
    repository.rekey_gallery("guests")
    search.update_index("guests")
    asked = np.append(before["1"], np.float32(0))

    assert index.nearest(repository.gallery("guests").number, asked, 3, exact=True).bound < 0.999
    assert found(search, 1) == ["1"]


@pytest.mark.parametrize("kind", [PGVECTOR, MILVUS])
@pytest.mark.parametrize("offsets", [NoThresholdOffsets()], ids=["no offsets"])
@pytest.mark.parametrize("dimension", [DIMENSION, DIMENSION + 4])
def test_a_gallery_with_another_model_gets_another_index(
    repository: FileRepository, search: ExternalSearch, dimension: int
) -> None:
    repository.enroll("guests", "ada", with_crops(numbered("ada", 1, 2)))
    assert found(search, 1) == ["1"]
    model = "sha256:" + "b" * 64
    repository.begin_re_embedding("guests", model, dimension)
    repository.switch_model("guests", model, lambda crops: [unit(50 + int(each.face_id), dimension) for each in crops])
    _, hits = search.search("guests", Embedding(unit(51, dimension), model), 10, 0.001, plain=True)

    assert [hit.face_id for hit in hits] == ["1"]
    with pytest.raises(ModelMismatch, match=f"was filled by model {model}, not {MODEL}"):
        found(search, 1)


def rekey(repository: FileRepository) -> None:
    repository.rekey_gallery("guests")


def make_anew(repository: FileRepository) -> None:
    repository.delete_gallery("guests")
    repository.enroll("guests", "eve", numbered("eve", 1))


@pytest.mark.parametrize("cipher", [KEY], ids=["encrypted"])
@pytest.mark.parametrize("kind", [PGVECTOR, MILVUS])
@pytest.mark.parametrize("change", [rekey, make_anew])
def test_a_gallery_that_changes_while_its_index_is_filled_is_found_as_it_is_then(
    repository: FileRepository,
    index: VectorIndex,
    change: Callable[[FileRepository], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for seed in range(3):
        repository.enroll("guests", f"person {seed}", numbered(f"person {seed}", seed))
    changes, add = iter([change]), type(index).add

    def add_and_change(gallery: int, face_ids: Sequence[str], vectors: Floats) -> None:
        add(index, gallery, face_ids, vectors)
        for each in changes:
            each(repository)

    monkeypatch.setattr(index, "add", add_and_change)
    search = ExternalSearch(repository, index, part=1)
    search.load_indexes()
    _, hits = search.search("guests", probe(1), 1, 0.001, plain=True)

    assert [(hit.subject_id, hit.face_id) for hit in hits] == [("person 1" if change is rekey else "eve", "1")]


@pytest.mark.parametrize("kind", [PGVECTOR])
def test_a_gallery_of_which_something_is_erased_during_every_search_is_busy(
    repository: FileRepository, index: VectorIndex, search: ExternalSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.enroll("guests", "ada", numbered("ada", *range(12)))
    seeds, nearest = count(), type(index).nearest

    def erase_and_search(*arguments: Any, **options: Any) -> Nearest:
        repository.delete_face("guests", "ada", str(next(seeds)))
        return nearest(index, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(index, "nearest", erase_and_search)
        with pytest.raises(Overloaded, match="changes faster than it can be searched"):
            found(search, 11)
    assert found(search, 11) == ["11"]


@pytest.mark.parametrize("kind", [PGVECTOR, MILVUS])
def test_a_damaged_face_is_told_and_left_out(
    repository: FileRepository, search: ExternalSearch, caplog: pytest.LogCaptureFixture
) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1, 2))
    with repository.database.writing() as db:
        db.execute("UPDATE faces SET vector = ? WHERE id = '2'", (b"short",))

    assert (found(search, 1), found(search, 2)) == (["1"], [])
    assert "face '2': vector: expected" in caplog.text
    assert "searches leave it out: run `likeness gallery check`, then `repair`" in caplog.text


@pytest.mark.parametrize("kind", [PGVECTOR])
def test_an_index_that_is_begun_anew_is_not_searched_before_it_is_complete(
    repository: FileRepository, index: VectorIndex, search: ExternalSearch
) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1))
    assert found(search, 1) == ["1"]
    number = repository.gallery("guests").number
    index.begin(number, DIMENSION + 1)
    with pytest.raises(SearchUnavailable, match="the index in PostgreSQL is being built"):
        found(search, 1)
    index.drop(number)
    assert index.numbers() == set()

    assert found(search, 1) == ["1"]


def stored(repository: FileRepository) -> dict[str, Floats]:
    return {face.face_id: face.vector for face in repository.changes_since("guests", None)[1].added}


@pytest.mark.parametrize("kind", [PGVECTOR, MILVUS])
def test_a_later_process_uses_the_index_that_is_there(
    repository: FileRepository, index: VectorIndex, search: ExternalSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1))
    search.load_indexes()
    monkeypatch.setattr(type(index), "begin", lambda *_: pytest.fail("it is made anew"))
    later = ExternalSearch(repository, index)
    later.load_indexes()
    repository.enroll("guests", "bob", numbered("bob", 2))

    assert (found(later, 1), found(later, 2), found(search, 2)) == (["1"], ["2"], ["2"])


class Interrupted(Exception):
    """Ends a filling as a kill does: what the index has confirmed stays."""


@pytest.mark.parametrize("kind", [PGVECTOR, MILVUS])
def test_an_interrupted_filling_goes_on_behind_what_the_index_has_confirmed(
    repository: FileRepository,
    index: VectorIndex,
    open_index: Callable[[], VectorIndex],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for seed in range(10):
        repository.enroll("guests", f"person {seed}", numbered(f"person {seed}", seed))
    first = recorded(index, monkeypatch, until="7")  # the third part is in the index, but its revision is not
    with pytest.raises(Interrupted):
        ExternalSearch(repository, index, part=3).load_indexes()
    repository.delete_subject("guests", "person 1")  # of the first part
    repository.delete_subject("guests", "person 7")  # of the third
    repository.update_subject("guests", "person 2", new_id="moved")
    repository.enroll("guests", "eve", numbered("eve", 20))
    with closing(open_index()) as opened:
        second = recorded(opened, monkeypatch)
        monkeypatch.setattr(opened, "begin", lambda *_: pytest.fail("it begins anew"))
        later = ExternalSearch(repository, opened, part=3)
        later.load_indexes()
        results = [found(later, seed) for seed in (1, 2, 7, 20)]

    assert first == ["0", "1", "2", "3", "4", "5", "6", "7", "8"]
    assert second == ["6", "8", "9", "2", "20"]
    number, asked = repository.gallery("guests").number, np.append(unit(1), np.float32(0))
    assert sorted(index.nearest(number, asked, 99, exact=True).face_ids) == sorted(["0", "3", "4", "5", *second])
    assert results == [[], ["2"], [], ["20"]]


@pytest.mark.parametrize("kind", ["milvus"])
def test_an_interrupted_rebuild_leaves_the_index_before_it_and_what_is_erased_is_in_neither(
    repository: FileRepository, index: VectorIndex, search: ExternalSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(index, MilvusIndex)
    repository.enroll("guests", "ada", numbered("ada", 1))
    repository.enroll("guests", "bob", numbered("bob", 2))
    search.load_indexes()
    with monkeypatch.context() as patch:
        recorded(index, patch, until="2")
        with pytest.raises(Interrupted):
            ExternalSearch(repository, index, part=1).rebuild()
    later, number = ExternalSearch(repository, index), repository.gallery("guests").number
    with index._connected() as client:
        assert len(index._collections(client, number)) == 2
        monkeypatch.setattr(index, "begin", lambda *_: pytest.fail("it begins anew"))
        assert found(later, 1) == ["1"]
        repository.delete_subject("guests", "ada")
        later.update_index("guests")

        assert len(index._collections(client, number)) == 1
    assert (found(later, 1), found(later, 2)) == ([], ["2"])


def test_a_table_of_an_earlier_version_gets_the_column_that_it_lacks(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as url, closing(FileRepository(url)) as repository:
        assert isinstance(repository.database, PostgresDatabase)
        repository.enroll("guests", "ada", numbered("ada", 1))
        ExternalSearch(repository, VectorTable(repository.database)).load_indexes()
        postgres_server.execute("ALTER TABLE search_indexes DROP COLUMN is_complete", urlsplit(url).path[1:])
        with closing(FileRepository(url)) as later:
            assert isinstance(later.database, PostgresDatabase)
            search = ExternalSearch(later, VectorTable(later.database))
            later.enroll("guests", "bob", numbered("bob", 2))

            assert (found(search, 1), found(search, 2)) == (["1"], ["2"])


def recorded(index: VectorIndex, monkeypatch: pytest.MonkeyPatch, *, until: str = "") -> list[str]:
    """Return a list of the faces that the index gets from now on; it is interrupted when it has the face `until`."""
    add, written = type(index).add, list[str]()

    def add_and_record(gallery: int, face_ids: Sequence[str], vectors: Floats) -> None:
        add(index, gallery, face_ids, vectors)
        written.extend(face_ids)
        if until in face_ids:
            raise Interrupted

    monkeypatch.setattr(index, "add", add_and_record)
    return written


@pytest.mark.parametrize("kind", [PGVECTOR, MILVUS])
def test_other_threshold_offsets_make_the_index_anew(
    repository: FileRepository, index: VectorIndex, search: ExternalSearch
) -> None:
    repository.enroll("guests", "ada", numbered("ada", *range(9)))
    search.load_indexes()
    number = repository.gallery("guests").number
    asked = np.append(np.zeros(DIMENSION, np.float32), np.float32(1))
    assert index.nearest(number, asked, 1, exact=True).bound > 0.1  # minus half the smallest offset
    without = FileRepository(repository.address, offsets=WeightedOffsets([0.0] * DIMENSION, model=MODEL))
    with closing(without):
        ExternalSearch(without, index).load_indexes()

    assert index.nearest(number, asked, 1, exact=True).bound == 0


def test_a_database_restored_from_a_backup_gets_another_index(path: Path, tmp_path: Path, milvus: MilvusServer) -> None:
    with closing(FileRepository(path)) as repository:
        repository.enroll("guests", "ada", numbered("ada", 1))
    shutil.copytree(tmp_path, tmp_path.with_name("backup"))
    for base, seed in ((tmp_path, 2), (tmp_path.with_name("backup"), 3)):
        with (
            closing(FileRepository(base / path.name)) as repository,
            closing(MilvusIndex(milvus.url, repository.installation())) as index,
        ):
            repository.enroll("guests", "bob", numbered("bob", seed))
            search = ExternalSearch(repository, index)

            assert [found(search, each) for each in (1, seed)] == [["1"], [str(seed)]]


@pytest.mark.parametrize("kind", ["milvus"])
@pytest.mark.parametrize("loses_data", [False, True])
def test_without_milvus_searches_fail_erasures_are_pending_and_both_recover(
    repository: FileRepository,
    search: ExternalSearch,
    milvus: MilvusServer,
    loses_data: bool,  # noqa: FBT001
) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1, 2))
    assert found(search, 1) == ["1"]
    milvus.stop()
    with pytest.raises(SearchUnavailable, match="the index in Milvus cannot be used now"):
        found(search, 1)
    repository.delete_face("guests", "ada", "1")
    search.update_index("guests")
    assert search.pending() == 1
    later = ExternalSearch(repository, search._index)
    later.load_indexes()  # a service may start meanwhile
    if loses_data:
        milvus.forget()
    milvus.start()
    search.update_indexes()

    assert search.pending() == 0
    assert [found(each, seed) for each in (search, later) for seed in (1, 2)] == [[], ["2"], [], ["2"]]


@pytest.mark.parametrize("kind", ["pgvector-hnsw"])
def test_a_graph_is_built_used_and_measured(repository: FileRepository, search: ExternalSearch) -> None:
    repository.enroll("guests", "ada", numbered("ada", *range(3000)))  # PostgreSQL reads all rows of a small table
    search.load_indexes()
    search.build_graphs()
    search.build_graphs()  # it is there
    name = f"search_vectors_hnsw_{repository.gallery('guests').number}_{DIMENSION + 1}"
    measured = recall.measure(repository, "guests", 20, external=search)

    assert scans_of_graphs(repository) == {name: 20}
    assert measured.nearest > 0.9
    assert measured.in_graphs is None
    repository.delete_gallery("guests")
    search.build_graphs()
    assert scans_of_graphs(repository) == {}


@pytest.mark.parametrize("kind", ["pgvector-hnsw"])
def test_one_process_at_a_time_builds_graphs_and_only_where_they_are_asked_for(
    repository: FileRepository, search: ExternalSearch
) -> None:
    assert isinstance(repository.database, PostgresDatabase)
    repository.enroll("guests", "ada", numbered("ada", *range(60)))
    search.load_indexes()
    VectorTable(repository.database).build_graphs()
    with psycopg.connect(str(repository.address), autocommit=True) as other:
        other.execute(f"SELECT pg_advisory_lock({vector_table._GRAPH_LOCK})".encode())
        search.build_graphs()
    before = scans_of_graphs(repository)
    search.build_graphs()

    assert before == {}
    assert len(scans_of_graphs(repository)) == 1


@pytest.mark.parametrize("kind", [PGVECTOR])
def test_graphs_need_a_newer_extension(repository: FileRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_table, "_FIRST_WITH_SCANS", (99, 0))
    repository.vector_table(hnsw=False)
    with pytest.raises(StartError, match="LIKENESS_SEARCH=pgvector-hnsw needs pgvector"):
        repository.vector_table(hnsw=True)


def scans_of_graphs(repository: FileRepository) -> dict[str, int]:
    """Return how often PostgreSQL has searched each graph."""
    with repository.database.reading() as db:
        db.execute("SELECT pg_stat_force_next_flush()")
    with repository.database.reading() as db:
        rows = db.execute(
            "SELECT indexrelname::text AS name, idx_scan FROM pg_stat_user_indexes WHERE indexrelname LIKE '%hnsw%'"
        )
        return {row["name"]: row["idx_scan"] for row in rows}


@pytest.mark.parametrize("kind", ["pgvector"])
def test_the_tables_of_the_index_are_no_fault_of_the_schema(repository: FileRepository, search: ExternalSearch) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1))
    search.rebuild()

    assert AuditLog(repository.database).verify().fault is None


def test_without_the_extension_or_tables_of_its_own_the_start_ends_with_a_sentence(
    postgres_server: PostgresServer,
) -> None:
    with postgres_server.database() as url:
        name = urlsplit(url).path[1:]
        postgres_server.execute("DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN")
        postgres_server.execute(f'GRANT ALL ON DATABASE "{name}" TO plain')
        postgres_server.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO plain", name)
        with closing(FileRepository(url.replace("likeness@", "plain@"))) as repository:
            with pytest.raises(StartError, match="let a superuser run CREATE EXTENSION vector"):
                repository.vector_table(hnsw=False)
            postgres_server.execute("CREATE EXTENSION vector", name)
            with pytest.raises(StartError, match=r"cannot use an index in PostgreSQL: .*permission denied"):
                repository.vector_table(hnsw=False)
