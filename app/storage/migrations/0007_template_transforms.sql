-- The encrypted seed of the gallery's transform (app/gallery/template_transform.py). Null without encryption, and in
-- galleries that an earlier version encrypted with the master key alone, until they are first opened.
ALTER TABLE galleries ADD COLUMN sealed_seed BLOB;
