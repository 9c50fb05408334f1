-- A digest of the rows of each table and gallery, and of all rows together: gallery 0 without a table. The program
-- computes them in the same transaction (app/storage/ledger.py).
CREATE TABLE row_digests (
    gallery INTEGER NOT NULL,
    relation TEXT NOT NULL,
    row_count INTEGER NOT NULL,
    sum BLOB NOT NULL,
    PRIMARY KEY (gallery, relation)
) WITHOUT ROWID;
-- The end of the audit log and the digest of all rows, signed with a key that the gallery's encryption key protects.
CREATE TABLE audit_head (
    number INTEGER PRIMARY KEY CHECK (number = 1),
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL,
    state TEXT NOT NULL,
    mac BLOB NOT NULL
);
