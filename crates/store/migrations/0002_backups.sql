-- Schedules, retention, notices and what else backups need beyond being made by hand.

CREATE TABLE schedules (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects (id),
    cluster TEXT NOT NULL,
    name TEXT NOT NULL,
    done_until BIGINT NOT NULL,
    next_at BIGINT,
    doc TEXT NOT NULL,
    UNIQUE (cluster, name)
);
CREATE INDEX schedules_list ON schedules (project, id);
CREATE INDEX schedules_next ON schedules (next_at, id) WHERE next_at IS NOT NULL;
CREATE INDEX schedules_ahead ON schedules (done_until, id) WHERE next_at IS NOT NULL;

-- The key is what makes each time of a schedule be used once.
CREATE TABLE schedule_runs (
    schedule TEXT NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    nominal BIGINT NOT NULL,
    status TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (schedule, nominal)
);

CREATE TABLE backup_groups (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    doc TEXT NOT NULL,
    UNIQUE (project, name)
);

CREATE TABLE group_backups (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects (id),
    group_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX group_backups_list ON group_backups (project, created_at, id);
CREATE INDEX group_backups_group ON group_backups (group_id, created_at, id);

CREATE TABLE backup_policies (
    cluster TEXT PRIMARY KEY,
    doc TEXT NOT NULL
);

CREATE TABLE retention_notes (
    cluster TEXT PRIMARY KEY,
    doc TEXT NOT NULL
);

-- Where each of them sends to, and with what, lies sealed with the secrets.
CREATE TABLE notifiers (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    doc TEXT NOT NULL,
    UNIQUE (project, name)
);

-- One row for each notifier a notice goes to, so that none waits for another.
CREATE TABLE outbox (
    notifier TEXT NOT NULL REFERENCES notifiers (id) ON DELETE CASCADE,
    notice TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    doc TEXT NOT NULL,
    PRIMARY KEY (notifier, notice)
);
CREATE INDEX outbox_pending ON outbox (notifier, notice) WHERE status = 'pending';
CREATE INDEX outbox_ended ON outbox (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE alerts (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects (id),
    cluster TEXT,
    kind TEXT NOT NULL,
    object TEXT NOT NULL,
    raised_at BIGINT NOT NULL,
    cleared_at BIGINT,
    doc TEXT NOT NULL
);
-- A condition is one alert, however often it is seen.
CREATE UNIQUE INDEX alerts_open ON alerts (kind, object) WHERE cleared_at IS NULL;
CREATE INDEX alerts_list ON alerts (project, raised_at, id);
CREATE INDEX alerts_cluster ON alerts (cluster) WHERE cleared_at IS NULL;

-- What came of each drill. A backup's document has its last one only.
CREATE TABLE drills (
    id TEXT PRIMARY KEY,
    cluster TEXT NOT NULL,
    at BIGINT NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX drills_cluster ON drills (cluster, at, id);
