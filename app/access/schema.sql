-- Never the secret: its SHA-256. A revoked key stays, so that a service that once had keys never opens by itself.
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    hash BLOB NOT NULL,
    scopes TEXT NOT NULL,                   -- JSON list
    galleries TEXT,                         -- JSON list; NULL is all
    rate INTEGER,                           -- requests a second; NULL is the service's limit
    concurrent INTEGER,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT
) WITHOUT ROWID;
