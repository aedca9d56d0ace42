-- What changed last: one row an object, its number moved up with each change. Written by triggers (see
-- changes.rs), so that no way of writing is forgotten.

CREATE TABLE change_head (
    one BIGINT PRIMARY KEY,
    seq BIGINT NOT NULL
);
INSERT INTO change_head (one, seq) VALUES (1, 0);

CREATE TABLE changes (
    noun TEXT NOT NULL,
    id TEXT NOT NULL,
    project TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (noun, id, project)
);
CREATE INDEX changes_seq ON changes (seq);
