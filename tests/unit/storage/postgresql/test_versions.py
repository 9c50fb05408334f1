"""A database of an earlier schema version keeps its people, keys and audit log when it gets the newest version."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest

from app.access.api_keys import KeyStore
from app.audit.log import AuditLog
from app.domain.embeddings import Embedding
from app.domain.errors import Unauthorized
from app.domain.identity import Scope
from app.gallery.records import IdempotencyRecord
from app.gallery.search import GallerySearch
from app.storage.cipher import AesGcmCipher, Cipher
from app.storage.postgresql.scripts import migration_scripts
from tests.support.postgres import PostgresServer
from tests.support.repository import FileRepository
from tests.support.templates import MODEL, numbered, unit, with_crops

KEY = AesGcmCipher([bytes(range(32))])
VERSION = 8
COLUMNS = {
    "metadata": "name, value",
    "galleries": "number, id, model, revision, created_at, dimension, sealed_seed",
    "subjects": "gallery, id, metadata, created_at, consent, expires_at, key_slot",
    "faces": "gallery, subject, id, vector, detection, revision, enrolled_at",
    "removals": "gallery, revision, face",
    "idempotency_keys": "gallery, subject, key, request_digest, response",
    "api_keys": "id, name, hash, scopes, galleries, rate, concurrent, created_at, expires_at, revoked_at",
    "data_keys": "slot, record",
    "audit": "seq, entry, hash",
    "row_digests": "gallery, relation, row_count, sum",
    "audit_head": "number, seq, hash, state, mac",
}
"""The columns that version 8 has, and the rows of a gallery without crops are the same in all later versions."""
NUMBERED = {"galleries": "number", "data_keys": "slot"}


@pytest.fixture(params=[None, KEY], ids=["plain", "encrypted"])
def cipher(request: pytest.FixtureRequest) -> Cipher | None:
    given: Cipher | None = request.param
    return given


@contextmanager
def database_of_version_8(server: PostgresServer, rows_of: str) -> Iterator[str]:
    """The address of a new database that the scripts up to version 8 made, with the rows of another one."""
    server.execute("CREATE DATABASE version_8 TEMPLATE template0")
    try:
        with psycopg.connect(server.url("version_8")) as db, psycopg.connect(rows_of) as source:
            for version, script in migration_scripts().items():
                if version <= VERSION:
                    db.execute(script.encode())
            db.execute("UPDATE schema_version SET version = %s", (VERSION,))
            for table, columns in COLUMNS.items():
                copy_rows(source, db, table, columns)
            for table, column in NUMBERED.items():
                query = f"SELECT setval(pg_get_serial_sequence(%s, %s), max({column}) + 1, FALSE) FROM {table}"  # noqa: S608
                db.execute(query.encode(), (table, column))
        yield server.url("version_8")
    finally:
        server.execute("DROP DATABASE version_8 WITH (FORCE)")


def copy_rows(source: psycopg.Connection, db: psycopg.Connection, table: str, columns: str) -> None:
    order = "rowid" if table == "faces" else "1, 2"
    with (
        source.cursor().copy(f"COPY (SELECT {columns} FROM {table} ORDER BY {order}) TO STDOUT".encode()) as rows,  # noqa: S608
        db.cursor().copy(f"COPY {table} ({columns}) FROM STDIN".encode()) as copy,
    ):
        for data in rows:
            copy.write(data)


def fill(url: str, cipher: Cipher | None) -> tuple[str, str]:
    """Return an API key that is active, and one that was revoked."""
    with closing(FileRepository(url, cipher=cipher)) as repository:
        saved = IdempotencyRecord("key", "digest", {"enrolled": ["1", "2"]})
        repository.enroll("guests", "Žofie", numbered("Žofie", 1, 2), saved)
        repository.enroll("guests", "ada", numbered("ada", 3, 4))
        repository.put_subject("guests", "ada", {"name": "Ada"}, consent="form", expires_at="2099-01-01T00:00:00.000Z")
        repository.delete_face("guests", "ada", "4")
        keys = KeyStore(repository.database)
        active, revoked = keys.create([Scope.IDENTIFY], galleries=["guests"]), keys.create([Scope.ADMIN])
        keys.revoke(revoked[0].id)
        return active[1], revoked[1]


def described(repository: FileRepository) -> object:
    subjects = repository.subjects("guests", 9, "")
    faces = [face for each in subjects for face in repository.faces("guests", each.subject_id)]
    return (
        repository.galleries(),
        subjects,
        [(face.face_id, face.subject_id, face.embedding.vector.tobytes(), face.enrolled_at) for face in faces],
        repository.saved_response("guests", "Žofie", "key", "digest"),
        AuditLog(repository.database).entries(),
    )


def test_people_keys_and_the_audit_chain_stay_and_go_on(postgres_server: PostgresServer, cipher: Cipher | None) -> None:
    with postgres_server.database() as source:
        active, revoked = fill(source, cipher)
        with closing(FileRepository(source, cipher=cipher)) as repository:
            expected, head = described(repository), AuditLog(repository.database).head()
        with (
            database_of_version_8(postgres_server, source) as url,
            closing(FileRepository(url, cipher=cipher)) as migrated,
        ):
            log, keys = AuditLog(migrated.database), KeyStore(migrated.database)
            assert described(migrated) == expected
            assert log.verify().fault is None
            assert keys.authenticate(active).galleries == frozenset({"guests"})
            with pytest.raises(Unauthorized):
                keys.authenticate(revoked)
            _, hits = GallerySearch(migrated).search("guests", Embedding(unit(3), MODEL), 9, 0.01)
            assert [(hit.subject_id, hit.face_id) for hit in hits] == [("ada", "3")]

            migrated.enroll("guests", "eve", with_crops(numbered("eve", 5)))
            migrated.enroll("staff", "bob", numbered("bob", 6))
            migrated.delete_subject("guests", "Žofie")
            assert log.verify(head.hash).fault is None
            assert migrated.check_integrity() == []


def test_rows_that_somebody_changed_before_the_migration_are_found_after_it(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as source:
        fill(source, None)
        with database_of_version_8(postgres_server, source) as url:
            with psycopg.connect(url) as db:
                db.execute("DELETE FROM faces WHERE id = '3'")
            with closing(FileRepository(url)) as migrated:
                assert "expected 3 rows in faces, got 2" in str(AuditLog(migrated.database).verify().fault)
