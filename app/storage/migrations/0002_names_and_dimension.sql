-- Tables and columns get the names that the rest of the code uses, and a gallery knows how long its vectors are.
ALTER TABLE facts RENAME TO metadata;
UPDATE metadata SET name = 'key_check' WHERE name = 'seal';
ALTER TABLE answers RENAME TO idempotency_keys;
ALTER TABLE idempotency_keys RENAME COLUMN request TO request_digest;
ALTER TABLE idempotency_keys RENAME COLUMN answer TO response;
ALTER TABLE keys RENAME TO api_keys;
ALTER TABLE galleries RENAME COLUMN key TO number;
ALTER TABLE galleries ADD COLUMN dimension INTEGER;

-- The length that most vectors of the gallery have. An encrypted vector is 37 bytes longer: format, key name, nonce, tag.
UPDATE galleries SET dimension = (
    SELECT bytes / 4
    FROM (
        SELECT gallery, length(vector) - 37 * (SELECT count(*) FROM metadata WHERE name = 'key_check') AS bytes
        FROM faces
    )
    WHERE gallery = galleries.number AND bytes > 0 AND bytes % 4 = 0
    GROUP BY bytes ORDER BY count(*) DESC LIMIT 1
);
