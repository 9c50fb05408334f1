"""
Compare the tables, indexes, functions and triggers of a schema with those that the migrations make.

The tables of an index (vector_table.py) and the functions of extensions are left out, but not triggers on them.
"""

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
WHERE relnamespace = {schema} AND relkind = 'r' AND attnum > 0 AND NOT attisdropped AND relname <> ALL ({search})
GROUP BY relname
UNION ALL
SELECT 'index ' || relname, pg_get_indexdef(pg_class.oid) FROM pg_class JOIN pg_index ON indexrelid = pg_class.oid
WHERE relnamespace = {schema} AND (SELECT relname FROM pg_class AS t WHERE t.oid = indrelid) <> ALL ({search})
UNION ALL
SELECT 'view ' || relname, '' FROM pg_class WHERE relnamespace = {schema} AND relkind NOT IN ('r', 'i', 'S')
UNION ALL
SELECT 'constraint ' || conname || ' of ' || conrelid::regclass, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = {schema} AND contype <> 'n'
AND coalesce((SELECT relname FROM pg_class WHERE pg_class.oid = conrelid), '') <> ALL ({search})
UNION ALL
SELECT 'function ' || proname || '(' || pg_get_function_identity_arguments(oid) || ')', prosrc
FROM pg_proc WHERE pronamespace = {schema} AND NOT EXISTS (
    SELECT 1 FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e'
)
UNION ALL
SELECT 'trigger ' || tgname || ' of ' || relname, tgenabled::text || pg_get_triggerdef(pg_trigger.oid)
FROM pg_trigger JOIN pg_class ON tgrelid = pg_class.oid WHERE relnamespace = {schema} AND NOT tgisinternal
"""
_SEARCH = "ARRAY['search_vectors', 'search_indexes']::name[]"
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
    rows = db.execute(_DESCRIBE.format(schema=f"'{schema}'::regnamespace", search=_SEARCH).encode())
    return {name.replace(f"{schema}.", ""): text.replace(f"{schema}.", "") for name, text in rows}
