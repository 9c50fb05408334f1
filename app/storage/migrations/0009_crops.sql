-- The kept crop of a face (LIKENESS_KEEP_CROPS), encrypted as its vector is. A table of its own, so that reading the
-- vectors of a gallery does not read the crops.
CREATE TABLE crops (
    gallery INTEGER NOT NULL,
    subject TEXT NOT NULL,
    face TEXT NOT NULL,
    crop BLOB NOT NULL,
    PRIMARY KEY (gallery, face),
    FOREIGN KEY (gallery, face) REFERENCES faces (gallery, id) ON DELETE CASCADE
);
CREATE INDEX crops_by_subject ON crops (gallery, subject);
-- A gallery that is to get vectors of another model, and those that were made so far.
CREATE TABLE re_embeddings (
    gallery INTEGER PRIMARY KEY REFERENCES galleries ON DELETE CASCADE,
    model TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    started_at TEXT NOT NULL
);
CREATE TABLE new_vectors (
    gallery INTEGER NOT NULL REFERENCES re_embeddings ON DELETE CASCADE,
    subject TEXT NOT NULL,
    face TEXT NOT NULL,
    new_vector BLOB NOT NULL,
    PRIMARY KEY (gallery, face),
    FOREIGN KEY (gallery, face) REFERENCES crops ON DELETE CASCADE
);
CREATE INDEX new_vectors_by_subject ON new_vectors (gallery, subject);
