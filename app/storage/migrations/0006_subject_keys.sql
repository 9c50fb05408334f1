-- The slot of the file of keys (app/storage/key_file.py) that has the data key of the subject; null without encryption.
ALTER TABLE subjects ADD COLUMN key_slot INTEGER;
CREATE UNIQUE INDEX subjects_by_key_slot ON subjects (key_slot);
