-- What was given up and stays in storages that let nobody delete. Without a snapshot it is all of a cluster.

CREATE TABLE left_behind (
    storage TEXT NOT NULL,
    cluster TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    tried_at BIGINT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (storage, cluster, snapshot)
);
CREATE INDEX left_behind_cluster ON left_behind (cluster);
CREATE INDEX left_behind_tried ON left_behind (tried_at);

-- The few that could be restored and do not count.
CREATE INDEX backups_doubtful ON backups (cluster) WHERE good = 0 AND status IN ('completed', 'partial');

-- When what each storage holds of a cluster was last read again.
CREATE TABLE readings (
    cluster TEXT NOT NULL,
    storage TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (cluster, storage)
);
