-- A subject may have a reference to its consent, which is encrypted as metadata are, and a time at which it is erased.
ALTER TABLE subjects ADD COLUMN consent BLOB;
ALTER TABLE subjects ADD COLUMN expires_at TEXT;
CREATE INDEX subjects_by_expiry ON subjects (expires_at) WHERE expires_at IS NOT NULL;
