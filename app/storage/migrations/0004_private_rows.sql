-- Tables with private values become tables with a rowid. In a table WITHOUT ROWID SQLite keeps whole rows in the inner
-- pages of its tree as well, and moves them when it balances the tree, which leaves copies that no deletion overwrites.
-- A table with a rowid has numbers there, and new rows come last, so that they move no other row.
-- Children are made anew too: to drop a table deletes its rows, and with them the rows that refer to them.
CREATE TABLE new_subjects (
    gallery INTEGER NOT NULL REFERENCES galleries ON DELETE CASCADE,
    id TEXT NOT NULL,
    metadata BLOB NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (gallery, id)
);
INSERT INTO new_subjects (gallery, id, metadata, created_at) SELECT gallery, id, metadata, created_at FROM subjects;

CREATE TABLE new_faces (
    gallery INTEGER NOT NULL,
    subject TEXT NOT NULL,
    id TEXT NOT NULL,
    vector BLOB NOT NULL,
    detection BLOB NOT NULL,
    revision INTEGER NOT NULL,
    enrolled_at TEXT NOT NULL,
    PRIMARY KEY (gallery, id),
    FOREIGN KEY (gallery, subject) REFERENCES new_subjects ON DELETE CASCADE
);
INSERT INTO new_faces (gallery, subject, id, vector, detection, revision, enrolled_at)
    SELECT gallery, subject, id, vector, detection, revision, enrolled_at FROM faces ORDER BY rowid;

CREATE TABLE new_idempotency_keys (
    gallery INTEGER NOT NULL,
    subject TEXT NOT NULL,
    key TEXT NOT NULL,
    request_digest TEXT NOT NULL,
    response BLOB NOT NULL,
    PRIMARY KEY (gallery, subject, key),
    FOREIGN KEY (gallery, subject) REFERENCES new_subjects ON DELETE CASCADE
);
INSERT INTO new_idempotency_keys (gallery, subject, key, request_digest, response)
    SELECT gallery, subject, key, request_digest, response FROM idempotency_keys;

DROP TABLE faces;
DROP TABLE idempotency_keys;
DROP TABLE subjects;
ALTER TABLE new_subjects RENAME TO subjects;
ALTER TABLE new_faces RENAME TO faces;
ALTER TABLE new_idempotency_keys RENAME TO idempotency_keys;
CREATE INDEX faces_by_subject ON faces (gallery, subject);
CREATE INDEX faces_by_revision ON faces (gallery, revision);
