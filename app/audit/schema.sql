-- Written in the transaction of the change it tells of: neither is there without the other. Never changed, never deleted.
CREATE TABLE IF NOT EXISTS audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    entry TEXT NOT NULL,                    -- JSON; no image, vector or metadata
    hash TEXT NOT NULL                      -- SHA-256 over the hash before, seq and entry
);
CREATE INDEX IF NOT EXISTS audit_by_subject
    ON audit (json_extract(entry, '$.gallery'), json_extract(entry, '$.subject'));
CREATE TRIGGER IF NOT EXISTS audit_is_appended_to BEFORE INSERT ON audit  -- REPLACE deletes without a word otherwise
    WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM audit)
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_not_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_not_deleted BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
