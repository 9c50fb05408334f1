"""Compare the tables, indexes, functions and triggers of a schema with those that the migrations make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from app.storage.postgresql.scripts import migration_scripts

_DESCRIBE = """
SELECT 'table ' || relname::text AS name, string_agg(
    attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull::text || attidentity::text,
    ', ' ORDER BY attnum
) AS text
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
WHERE relnamespace = {schema} AND relkind = 'r' AND attnum > 0 AND NOT attisdropped GROUP BY relname
UNION ALL
SELECT 'index ' || relname, pg_get_indexdef(oid) FROM pg_class WHERE relnamespace = {schema} AND relkind = 'i'
UNION ALL
SELECT 'view ' || relname, '' FROM pg_class WHERE relnamespace = {schema} AND relkind NOT IN ('r', 'i', 'S')
UNION ALL
SELECT 'constraint ' || conname || ' of ' || conrelid::regclass, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = {schema} AND contype <> 'n'
UNION ALL
SELECT 'function ' || proname || '(' || pg_get_function_identity_arguments(oid) || ')', prosrc
FROM pg_proc WHERE pronamespace = {schema}
UNION ALL
SELECT 'trigger ' || tgname || ' of ' || relname, tgenabled::text || pg_get_triggerdef(pg_trigger.oid)
FROM pg_trigger JOIN pg_class ON tgrelid = pg_class.oid WHERE relnamespace = {schema} AND NOT tgisinternal
"""
_SCRATCH = "likeness_expected"


def schema_differences(wire: psycopg.Connection[Any]) -> list[str]:
    """
    Make the expected schema beside the present one, compare the two, and roll back.

    Uses a connection of its own, since the transaction of `wire` may only read. Raises psycopg.Error.
    """
    other = psycopg.connect(wire.info.dsn, password=wire.info.password or None, autocommit=True)
    with other as db, db.transaction(force_rollback=True):
        schema = str((db.execute("SELECT current_schema()").fetchone() or [""])[0])
        found = _objects(db, schema)
        db.execute(f"CREATE SCHEMA {_SCRATCH}; SET LOCAL search_path = {_SCRATCH}".encode())
        for script in migration_scripts().values():
            db.execute(script.encode())
        expected = _objects(db, _SCRATCH)
    missing = ", ".join(sorted(expected.keys() - found.keys()))
    return [
        *([f"the database has no {missing}"] if missing else []),
        *(f"the database has a {name}, which is not ours" for name in sorted(found.keys() - expected.keys())),
        *(
            f"the {name} is not the one that the migrations make"
            for name in sorted(found.keys() & expected.keys())
            if found[name] != expected[name]
        ),
    ]


def _objects(db: psycopg.Connection[Any], schema: str) -> Mapping[str, str]:
    rows = db.execute(_DESCRIBE.format(schema=f"'{schema}'::regnamespace").encode())
    return {name.replace(f"{schema}.", ""): text.replace(f"{schema}.", "") for name, text in rows}
