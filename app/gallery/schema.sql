-- The truth about who is enrolled. Every change raises galleries.revision in its own transaction; an index that knows
-- its revision reads what is newer in `faces` and `removals` and is then equal to the tables.
-- Values marked (sealed) are closed with the vault's key where there is one; `about` of a value is its table and row.
CREATE TABLE IF NOT EXISTS facts (          -- about the file itself; `seal` opens with the right key
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS galleries (
    key INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again, so an index of a deleted gallery cannot be mistaken
    id TEXT NOT NULL UNIQUE,
    model TEXT,                             -- digest of the embedder that filled it; NULL while empty from the start
    revision INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS subjects (
    gallery INTEGER NOT NULL REFERENCES galleries ON DELETE CASCADE,
    id TEXT NOT NULL,
    metadata BLOB NOT NULL,                 -- (sealed) JSON
    created_at TEXT NOT NULL,
    PRIMARY KEY (gallery, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS faces (
    gallery INTEGER NOT NULL,
    subject TEXT NOT NULL,
    id TEXT NOT NULL,
    vector BLOB NOT NULL,                   -- (sealed) float32, little-endian
    detection BLOB NOT NULL,                -- (sealed) JSON: box, landmarks, confidence, quality
    revision INTEGER NOT NULL,              -- in which it was added
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
CREATE TABLE IF NOT EXISTS answers (        -- what was answered under an Idempotency-Key
    gallery INTEGER NOT NULL,
    subject TEXT NOT NULL,
    key TEXT NOT NULL,
    request TEXT NOT NULL,                  -- digest of the request
    answer BLOB NOT NULL,                   -- (sealed) JSON
    PRIMARY KEY (gallery, subject, key),
    FOREIGN KEY (gallery, subject) REFERENCES subjects ON DELETE CASCADE
) WITHOUT ROWID;
