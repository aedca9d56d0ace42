-- Logs of clusters that are kept as they are written, and the parts of them in storages.

CREATE TABLE log_archives (
    cluster TEXT PRIMARY KEY,
    doc TEXT NOT NULL
);

CREATE TABLE log_parts (
    id TEXT PRIMARY KEY,
    cluster TEXT NOT NULL,
    storage TEXT NOT NULL,
    until BIGINT NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX log_parts_list ON log_parts (cluster, storage, until, id);
