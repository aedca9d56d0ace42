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

-- Which schedule made a backup, so that each is held to what it promises.
ALTER TABLE backups ADD COLUMN schedule TEXT NOT NULL DEFAULT '';
UPDATE backups SET schedule = COALESCE((SELECT s.id FROM schedules s
    WHERE s.cluster = backups.cluster AND backups.doc LIKE '%"schedule":"' || s.id || '"%' LIMIT 1), '');
CREATE INDEX backups_of_schedule ON backups (schedule, created_at) WHERE good = 1;
