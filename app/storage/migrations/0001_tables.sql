-- The tables as commit 322169d made them, before the file had schema versions. Every statement says IF NOT EXISTS,
-- because a file of version 0 is either new or was written by that commit or an earlier one.
PRAGMA application_id = 1279871813; -- "LIKE": tells our file from any other SQLite file
CREATE TABLE IF NOT EXISTS facts (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS galleries (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    model TEXT,
    revision INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS subjects (
    gallery INTEGER NOT NULL REFERENCES galleries ON DELETE CASCADE,
    id TEXT NOT NULL,
    metadata BLOB NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (gallery, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS faces (
    gallery INTEGER NOT NULL,
    subject TEXT NOT NULL,
    id TEXT NOT NULL,
    vector BLOB NOT NULL,
    detection BLOB NOT NULL,
    revision INTEGER NOT NULL,
    enrolled_at TEXT NOT NULL,
    PRIMARY KEY (gallery, id),
    FOREIGN KEY (gallery, subject) REFERENCES subjects ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS faces_by_subject ON faces (gallery, subject);
CREATE INDEX IF NOT EXISTS faces_by_revision ON faces (gallery, revision);
CREATE TABLE IF NOT EXISTS removals (
    gallery INTEGER NOT NULL REFERENCES galleries ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    face TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS removals_by_revision ON removals (gallery, revision);
CREATE TABLE IF NOT EXISTS answers (
    gallery INTEGER NOT NULL,
    subject TEXT NOT NULL,
    key TEXT NOT NULL,
    request TEXT NOT NULL,
    answer BLOB NOT NULL,
    PRIMARY KEY (gallery, subject, key),
    FOREIGN KEY (gallery, subject) REFERENCES subjects ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    hash BLOB NOT NULL,
    scopes TEXT NOT NULL,
    galleries TEXT,
    rate INTEGER,
    concurrent INTEGER,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    entry TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS audit_by_subject
    ON audit (json_extract(entry, '$.gallery'), json_extract(entry, '$.subject'));
CREATE TRIGGER IF NOT EXISTS audit_is_appended_to BEFORE INSERT ON audit
    WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM audit)
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_not_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_not_deleted BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
