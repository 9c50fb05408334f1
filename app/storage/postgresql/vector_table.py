"""
The vectors of all galleries in a column of pgvector, as an index that every replica uses and none keeps in memory.

Its tables are beside those of the schema, made when they are first needed, since not every server has the extension. A
row refers to its face, so that the transaction that erases a face erases its vector too. A search reads the rows one by
one, in float32; with `hnsw` it follows a graph of each large gallery instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import psycopg

from app.domain.arrays import Floats
from app.domain.errors import SearchUnavailable, ServiceError, StartError
from app.domain.ports import IndexState, Nearest
from app.storage.postgresql.connection import Connection, Row, Wire
from app.storage.postgresql.database import Database

_TABLES = """
CREATE TABLE search_indexes (
    gallery BIGINT PRIMARY KEY REFERENCES galleries ON DELETE CASCADE,
    dimension INTEGER NOT NULL,
    revision BIGINT,
    form TEXT NOT NULL DEFAULT '',
    head TEXT NOT NULL DEFAULT '',
    is_complete BOOLEAN NOT NULL DEFAULT TRUE
);
CREATE TABLE search_vectors (
    gallery BIGINT NOT NULL,
    face TEXT COLLATE "C" NOT NULL,
    vector VECTOR NOT NULL,
    PRIMARY KEY (gallery, face),
    FOREIGN KEY (gallery, face) REFERENCES faces ON DELETE CASCADE
);
ALTER TABLE search_vectors ALTER COLUMN vector SET STORAGE PLAIN;
"""
_ADD_IS_COMPLETE = "ALTER TABLE search_indexes ADD COLUMN is_complete BOOLEAN NOT NULL DEFAULT TRUE"
_STATE = "SELECT revision, form, head, is_complete FROM search_indexes WHERE gallery = ? AND revision IS NOT NULL"
_STAGED = 'CREATE TEMP TABLE IF NOT EXISTS staged_vectors (face TEXT COLLATE "C", vector VECTOR) ON COMMIT DELETE ROWS'
# The lock on the faces makes a transaction that deletes one of them wait, so that it deletes the vector too.
_ADD = """INSERT INTO search_vectors (gallery, face, vector)
SELECT faces.gallery, staged.face, staged.vector FROM staged_vectors AS staged
JOIN faces ON faces.gallery = ? AND faces.id = staged.face FOR KEY SHARE OF faces
ON CONFLICT (gallery, face) DO UPDATE SET vector = EXCLUDED.vector"""
_LARGEST_COUNT, _LARGEST_BREADTH = 16_384, 1000  # the latter is a limit of pgvector
_BREADTH = 200  # rows that a search of the graph keeps in view
GRAPH_ROWS = 2**16
_FIRST_WITH_SCANS = (0, 8)
_GRAPH_LOCK, _TABLES_LOCK = 0x4C494B48, 0x4C494B4A
_DAY = 86400.0


class VectorTable:
    """Implements VectorIndex. `hnsw` searches galleries of `graph_rows` faces or more by a graph, once it is built."""

    largest_count = _LARGEST_COUNT

    def __init__(self, database: Database, *, hnsw: bool = False, graph_rows: int = GRAPH_ROWS) -> None:
        """Raises StartError if the server has not the extension, or an old one."""
        self._database, self._hnsw, self._graph_rows = database, hnsw, graph_rows
        try:
            with database.indexing() as db:
                db.run(f"SELECT pg_advisory_xact_lock({_TABLES_LOCK})")  # two processes may start at once
                _require_extension(db, hnsw=hnsw)
                if not db.has_table("search_vectors"):
                    db.run(_TABLES)
                elif "is_complete" not in db.column_names("search_indexes"):
                    db.run(_ADD_IS_COMPLETE)
        except ServiceError as error:
            raise StartError(f"cannot use an index in PostgreSQL: {error}") from error

    def close(self) -> None:
        """Whoever made the database closes it."""

    def numbers(self) -> set[int]:
        with self._database.reading() as db:
            return {row["gallery"] for row in db.execute("SELECT gallery FROM search_indexes")}

    def state(self, gallery: int) -> IndexState | None:
        state = self._state(gallery)
        return state if state and state.is_complete else None

    def unfinished(self, gallery: int, form: str) -> IndexState | None:
        state = self._state(gallery)
        return state if state and not state.is_complete and state.form == form else None

    def _state(self, gallery: int) -> IndexState | None:
        with self._database.reading() as db:
            row = db.execute(_STATE, (gallery,)).fetchone()
        return IndexState(*row) if row else None

    def begin(self, gallery: int, dimension: int) -> None:
        with self._database.indexing() as db:
            _delete(db, gallery)
            db.execute(
                "INSERT INTO search_indexes (gallery, dimension, is_complete) "
                "SELECT number, ?, FALSE FROM galleries WHERE number = ?",
                (dimension, gallery),
            )

    def remove(self, gallery: int, face_ids: Sequence[str]) -> None:
        """Remove what was not removed with its face already: nothing, unless somebody wrote to the table."""
        with self._database.indexing() as db:
            db.execute("DELETE FROM search_vectors WHERE gallery = ? AND face = ANY(?)", (gallery, list(face_ids)))

    def add(self, gallery: int, face_ids: Sequence[str], vectors: Floats) -> None:
        with self._database.indexing() as db:
            db.run(f"SET LOCAL client_min_messages = warning; {_STAGED}")
            with db.wire.cursor().copy("COPY staged_vectors FROM STDIN (FORMAT BINARY)") as copy:
                for face_id, vector in zip(face_ids, _binary(vectors), strict=True):
                    copy.write_row((face_id, vector))
            db.execute(_ADD, (gallery,))

    def set_state(self, gallery: int, state: IndexState) -> None:
        with self._database.indexing() as db:
            db.execute(
                "UPDATE search_indexes SET revision = ?, form = ?, head = ?, is_complete = ? WHERE gallery = ?",
                (state.revision, state.form, state.head, state.is_complete, gallery),
            )

    def drop(self, gallery: int) -> None:
        with self._database.indexing() as db:
            _delete(db, gallery)

    def nearest(self, gallery: int, query: Floats, count: int, *, exact: bool) -> Nearest:
        with self._database.reading() as db:
            rows = self._select(db, gallery, query, count, exact=exact).fetchall()
            if not db.execute(f"{_STATE} AND is_complete", (gallery,)).fetchone():
                raise SearchUnavailable("the index in PostgreSQL is being built")
        bound = -float(rows[-1]["distance"]) if len(rows) == count else -np.inf
        return Nearest([row["face"] for row in rows], bound)

    def _select(self, db: Connection, gallery: int, query: Floats, count: int, *, exact: bool) -> psycopg.Cursor[Row]:
        asked = "[" + ",".join(map(repr, query.astype(float).tolist())) + "]"
        column, dimension = "vector", len(query)
        if self._hnsw and not exact and count <= _LARGEST_BREADTH:
            column = f"(vector::vector({dimension}))"  # as the graph has it; without one the rows are read
            breadth = max(_BREADTH, count)
            db.run(f"SET LOCAL hnsw.ef_search = {breadth}; SET LOCAL hnsw.iterative_scan = strict_order")
        return db.execute(  # a graph is used only if the query has the number of the gallery, not a parameter
            f"SELECT face, {column} <#> ?::vector({dimension}) AS distance FROM search_vectors "  # noqa: S608
            f"WHERE gallery = {int(gallery)} ORDER BY distance LIMIT {int(count)}",
            (asked,),
        )

    def build_graphs(self) -> None:
        """Build the graph of each large gallery that has none, while others search and change it."""
        if not self._hnsw:
            return
        with self._database.alone(_DAY) as wire:
            if not _fetch(wire, f"SELECT pg_try_advisory_lock({_GRAPH_LOCK})")[0][0]:
                return  # another process does it
            wire.execute(b"SET lock_timeout = 0")  # the end waits for every transaction that is older
            known = {row[0]: row[1] for row in _fetch(wire, _GRAPHS)}
            wanted = {_graph_name(*row): row for row in _fetch(wire, _LARGE.format(rows=self._graph_rows))}
            for name in known.keys() - wanted.keys() | {name for name, is_valid in known.items() if not is_valid}:
                wire.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}".encode())
                known.pop(name)
            for name in wanted.keys() - known.keys():
                gallery, dimension = wanted[name]
                wire.execute(_BUILD.format(name=name, gallery=gallery, dimension=dimension).encode())


_GRAPHS = """SELECT relname::text AS name, indisvalid AS valid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indrelid = 'search_vectors'::regclass AND relname LIKE 'search!_vectors!_hnsw!_%' ESCAPE '!'"""
_LARGE = """SELECT search_indexes.gallery, dimension FROM search_indexes JOIN row_digests USING (gallery)
WHERE revision IS NOT NULL AND is_complete AND relation = 'faces' AND row_count >= {rows}"""
_BUILD = """CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON search_vectors
USING hnsw ((vector::vector({dimension})) vector_ip_ops) WHERE gallery = {gallery}"""


def _graph_name(gallery: int, dimension: int) -> str:
    return f"search_vectors_hnsw_{gallery}_{dimension}"


def _fetch(wire: Wire, statement: str) -> list[Row]:
    return list(wire.execute(statement.encode()).fetchall())


def _delete(db: Connection, gallery: int) -> None:
    db.execute("DELETE FROM search_vectors WHERE gallery = ?", (gallery,))
    db.execute("DELETE FROM search_indexes WHERE gallery = ?", (gallery,))


def _binary(vectors: Floats) -> Iterator[bytes]:
    """Yield each vector as pgvector sends and receives it."""
    head = np.array([vectors.shape[1], 0], ">i2").tobytes()
    return (head + vector.tobytes() for vector in vectors.astype(">f4"))


def _version(db: Connection) -> tuple[int, ...]:
    """Return the version of the extension in the database, empty if there is none."""
    row = db.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    return tuple(map(int, row["extversion"].split(".")[:2])) if row else ()


def _require_extension(db: Connection, *, hnsw: bool) -> None:
    """Raises StartError."""
    if not _version(db):
        _create_extension(db)
    if hnsw and _version(db) < _FIRST_WITH_SCANS:
        raise StartError("LIKENESS_SEARCH=pgvector-hnsw needs pgvector 0.8 or newer")


def _create_extension(db: Connection) -> None:
    try:
        db.run("CREATE EXTENSION vector")
    except psycopg.Error as error:
        raise StartError(
            "LIKENESS_SEARCH=pgvector needs the extension `vector` in the database: install pgvector on the server, "
            f"and let a superuser run CREATE EXTENSION vector ({str(error).splitlines()[0]})"
        ) from error
