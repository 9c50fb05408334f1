-- What the migration 9 makes in SQLite.
CREATE TABLE crops (
    gallery BIGINT NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    face TEXT COLLATE "C" NOT NULL,
    crop BYTEA NOT NULL,
    PRIMARY KEY (gallery, face),
    FOREIGN KEY (gallery, face) REFERENCES faces (gallery, id) ON DELETE CASCADE
);
CREATE INDEX crops_by_subject ON crops (gallery, subject);
CREATE TABLE re_embeddings (
    gallery BIGINT PRIMARY KEY REFERENCES galleries ON DELETE CASCADE,
    model TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    started_at TEXT COLLATE "C" NOT NULL
);
CREATE TABLE new_vectors (
    gallery BIGINT NOT NULL REFERENCES re_embeddings ON DELETE CASCADE,
    subject TEXT COLLATE "C" NOT NULL,
    face TEXT COLLATE "C" NOT NULL,
    new_vector BYTEA NOT NULL,
    PRIMARY KEY (gallery, face),
    FOREIGN KEY (gallery, face) REFERENCES crops ON DELETE CASCADE
);
CREATE INDEX new_vectors_by_subject ON new_vectors (gallery, subject);
CREATE TRIGGER note_row AFTER INSERT OR UPDATE OR DELETE ON crops FOR EACH ROW EXECUTE FUNCTION note_row();
CREATE TRIGGER note_row AFTER INSERT OR UPDATE OR DELETE ON re_embeddings FOR EACH ROW EXECUTE FUNCTION note_row();
CREATE TRIGGER note_row AFTER INSERT OR UPDATE OR DELETE ON new_vectors FOR EACH ROW EXECUTE FUNCTION note_row();
