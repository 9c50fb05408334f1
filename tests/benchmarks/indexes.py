"""
`python -m tests.benchmarks.indexes`: compare the kinds of index that LIKENESS_SEARCH names on one gallery.

The kinds take turns at each search, in another order each time, and a search is that of the service: it reads the
rows of what an index outside of the process proposes. Recall is measured against a product with all vectors. Rows are
in SQLite for the index in memory and for Milvus (milvus-lite, a process of its own), otherwise in PostgreSQL with its
default settings. The ten nearest are people, nine of them strangers who are equally far away, which is the hardest case
for an approximate index. Takes some four minutes; the machine should be idle, since it measures wall time.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import numpy as np
import typer
from pymilvus import MilvusClient
from rich.console import Console
from threadpoolctl import threadpool_limits

from app.domain.arrays import Floats
from app.domain.embeddings import Embedding
from app.gallery.external_search import ExternalSearch
from app.gallery.records import ImportedSubject
from app.gallery.search import SNAPSHOT_FACES, GallerySearch
from app.gallery.searching import Search
from app.storage.milvus import MilvusIndex
from app.storage.postgresql.database import Database
from app.storage.postgresql.vector_table import VectorTable
from tests.benchmarks.cores import single_threaded
from tests.benchmarks.machine import Machine, commit
from tests.benchmarks.million import DIMENSION, SUBJECTS, THRESHOLD, chunks, near, unit_rows
from tests.support.commands import eventually
from tests.support.postgres import running_server
from tests.support.repository import FileRepository
from tests.support.server import free_port
from tests.support.templates import MODEL, template

FACES, SEARCHES, A_PERSON, A_TRANSACTION = 70_000, 100, 10, 200
SECONDS = 120.0
"""Searches end after that time, however few there were."""
NEAREST, EVERYTHING = 10, 4.0
GALLERY = "guests"
console = Console(highlight=False, width=200)


@dataclass
class Kind:
    """A kind of index, the seconds until it was filled and built, and its bytes on the disk."""

    name: str
    search: Search
    seconds: float
    bytes: int
    laps: list[float] = field(default_factory=list)
    found: list[float] = field(default_factory=list)
    found_ten: list[float] = field(default_factory=list)


def main(
    faces: Annotated[int, typer.Option(min=1000, help="From 65,536 on the approximate indexes have a graph.")] = FACES,
    searches: Annotated[int, typer.Option(min=5)] = SEARCHES,
) -> None:
    """Print a table of the kinds of index."""
    faces -= faces % A_PERSON
    machine, began = Machine.this(), time.monotonic()
    console.print(f"commit {commit()}, {machine.family}: {machine.summary}")
    console.print(
        f"{faces:,} faces of {DIMENSION} numbers, {A_PERSON} of each person, {searches} searches of each kind"
    )
    with measured(faces, searches) as kinds:
        console.print(table(kinds, faces))
    console.print(f"{time.monotonic() - began:.0f} s in all")


@contextmanager
def measured(faces: int, searches: int) -> Iterator[list[Kind]]:
    """Fill, build and search each kind of index."""
    people, vectors = unit_rows(np.random.default_rng(2), faces // A_PERSON), np.empty((faces, DIMENSION), np.float32)
    for start, chunk in chunks(people, faces):
        vectors[start : start + len(chunk)] = chunk
    asked = near(vectors[np.random.default_rng(4).choice(faces, searches, replace=False)])
    with ExitStack() as stack, threadpool_limits(1), single_threaded():
        kinds = [*in_memory(stack, vectors), *in_postgresql(stack, vectors)]
        kinds += [in_milvus(stack, kind, kinds[0]) for kind in ("flat", "hnsw")]
        for kind in kinds:
            judge(kind, vectors, asked)
        race(kinds, asked)
        yield kinds


def in_memory(stack: ExitStack, vectors: Floats) -> Iterator[Kind]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    repository = stack.enter_context(closing(FileRepository(folder / "gallery.sqlite3")))
    enroll(repository, vectors)
    exact, approximate = (GallerySearch(repository, snapshot_faces=min(SNAPSHOT_FACES, len(vectors))) for _ in range(2))
    seconds = timed(exact.load_indexes)
    graph = timed(approximate.load_indexes) + timed(approximate.build_graphs)
    exact.save_snapshots()
    snapshot = size(folder, "*-index-[0-9]*")
    yield Kind("exact", exact, seconds, snapshot)
    yield Kind("hnsw", approximate, graph, snapshot)


def in_postgresql(stack: ExitStack, vectors: Floats) -> Iterator[Kind]:
    server = stack.enter_context(running_server(shared_buffers="128MB", fsync="on", full_page_writes="on"))
    url = stack.enter_context(server.database())
    repository = stack.enter_context(closing(FileRepository(url)))
    enroll(repository, vectors)
    assert isinstance(repository.database, Database)
    exact = ExternalSearch(repository, VectorTable(repository.database))
    approximate = ExternalSearch(repository, VectorTable(repository.database, hnsw=True))
    seconds = timed(exact.load_indexes)
    server.execute("VACUUM (ANALYZE)", urlsplit(url).path[1:])  # as autovacuum does
    bytes_ = bytes_of_vectors(repository.database)
    yield Kind("pgvector", exact, seconds, bytes_)
    seconds += timed(approximate.build_graphs)
    approximate.load_indexes()
    yield Kind("pgvector-hnsw", approximate, seconds, bytes_of_vectors(repository.database))


def in_milvus(stack: ExitStack, kind: str, with_rows: Kind) -> Kind:
    """Fill Milvus from the rows that the index in memory has."""
    assert isinstance(with_rows.search, GallerySearch)
    repository = with_rows.search._repository
    url, folder = stack.enter_context(running_milvus())
    index = stack.enter_context(closing(MilvusIndex(url, repository.installation(), kind=kind, timeout=60.0)))
    search = ExternalSearch(repository, index)
    seconds = timed(search.load_indexes) + timed(lambda: flush(url))
    return Kind(f"milvus, {kind}", search, seconds, size(folder))


def flush(url: str) -> None:
    """Let Milvus write what it has in memory, and build its indexes, as it does by itself after a while."""
    with closing(MilvusClient(url)) as client:
        for name in client.list_collections():
            client.flush(name)


@contextmanager
def running_milvus() -> Iterator[tuple[str, Path]]:
    """The address of milvus-lite in a process of its own, and the folder of its data."""
    with tempfile.TemporaryDirectory() as folder:
        port, data = free_port(), Path(folder, "data")
        command = [sys.executable, "-m", "milvus_lite", "server", "--data-dir", str(data), "--host", "127.0.0.1"]
        with subprocess.Popen(
            [*command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                assert eventually(lambda: answers(f"http://127.0.0.1:{port}"), within=60)
                yield f"http://127.0.0.1:{port}", data
            finally:
                process.kill()


def answers(url: str) -> bool:
    try:
        MilvusClient(url, timeout=1).close()
    except Exception:
        return False
    return True


def enroll(repository: FileRepository, vectors: Floats) -> None:
    people = len(vectors) // A_PERSON
    for start in range(0, people, A_TRANSACTION):
        repository.import_subjects(
            GALLERY, [person(each, vectors[each::people]) for each in range(start, min(people, start + A_TRANSACTION))]
        )


def person(number: int, vectors: Floats) -> ImportedSubject:
    faces = [template(f"{number}-{each}", str(number), vector, MODEL) for each, vector in enumerate(vectors)]
    return ImportedSubject(str(number), {}, faces)


def judge(kind: Kind, vectors: Floats, asked: Floats) -> None:
    """Compare the nearest people that are found with those of a product with all vectors."""
    people = len(vectors) // A_PERSON
    for query in asked:
        nearest = (vectors @ query).reshape(-1, people).max(axis=0)  # (people,)
        expected = [str(each) for each in np.argsort(-nearest)[:NEAREST]]
        _, hits = kind.search.search(GALLERY, Embedding(query, MODEL), NEAREST, EVERYTHING, plain=True)
        found = [hit.subject_id for hit in hits]
        kind.found.append(found[:1] == expected[:1])
        kind.found_ten.append(len(set(found) & set(expected)) / NEAREST)


def race(kinds: Sequence[Kind], asked: Floats) -> None:
    until = time.monotonic() + SECONDS
    for number, query in enumerate(asked):
        if time.monotonic() > until:
            break
        first = number % len(kinds)
        for kind in [*kinds[first:], *kinds[:first]]:
            kind.laps.append(timed(partial(kind.search.search, GALLERY, Embedding(query, MODEL), SUBJECTS, THRESHOLD)))


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def size(folder: Path, pattern: str = "**/*") -> int:
    return sum(file.stat().st_size for file in folder.glob(pattern) if file.is_file())


def bytes_of_vectors(database: Database) -> int:
    with database.reading() as db:
        row = db.execute("SELECT pg_total_relation_size('search_vectors') AS bytes").fetchone()
    return int(row["bytes"]) if row else 0


def table(kinds: Sequence[Kind], faces: int) -> str:
    columns = [
        "LIKENESS_SEARCH",
        "median of a search",
        "95th percentile",
        "recall@1",
        "recall@10",
        "on disk",
        "filled in",
    ]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for kind in kinds:
        middle, slow = 1000 * np.percentile(kind.laps, [50, 95])
        times = f"{middle:.1f} ms | {slow:.1f} ms"
        recall = f"{100 * np.mean(kind.found):.1f} % | {100 * np.mean(kind.found_ten):.1f} %"
        lines.append(
            f"| {kind.name} | {times} | {recall} | {kind.bytes / faces:.0f} bytes a face | {kind.seconds:.1f} s |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
