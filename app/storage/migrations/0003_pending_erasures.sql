-- A row for each deletion after which the write-ahead log could not be emptied, because a reader still needed its pages.
CREATE TABLE pending_erasures (
    number INTEGER PRIMARY KEY AUTOINCREMENT
);
