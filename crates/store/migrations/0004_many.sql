-- For a great many backups: each of these is asked for by a list, a watchdog or retention, and must not
-- read what it does not answer with.

CREATE INDEX backups_good ON backups (cluster, created_at, id) WHERE good = 1;
CREATE INDEX backups_status ON backups (project, status, created_at, id);
CREATE INDEX backups_kind ON backups (project, kind, created_at, id);
CREATE INDEX backups_kind_status ON backups (project, kind, status, created_at, id);

-- From when on time alone may let one go, so that retention looks at clusters of which something has
-- lapsed. 0 is not known: rows from before this column are looked at each time, as they were.
ALTER TABLE backups ADD COLUMN lapses_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX backups_lapses ON backups (lapses_at, cluster);

CREATE INDEX restores_status ON restores (status, backup);
