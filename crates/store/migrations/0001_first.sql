-- One text for SQLite and PostgreSQL: TEXT, BIGINT and DOUBLE PRECISION columns only. Truth values
-- are BIGINT 0 or 1, times BIGINT microseconds, documents TEXT holding JSON. `doc` holds the whole
-- noun; the columns beside it repeat what is searched, sorted or unique.

-- Locked, never written: what makes writers take turns on PostgreSQL as they do on SQLite.
CREATE TABLE write_turn (nobody BIGINT);

CREATE TABLE kv (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE projects (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    doc TEXT NOT NULL
);

CREATE TABLE clusters (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT,
    doc TEXT NOT NULL
);
CREATE UNIQUE INDEX clusters_name ON clusters (project, name) WHERE deleted_at IS NULL;
CREATE INDEX clusters_list ON clusters (project, created_at, id);

CREATE TABLE nodes (
    id TEXT PRIMARY KEY,
    cluster TEXT NOT NULL REFERENCES clusters (id),
    number BIGINT NOT NULL,
    doc TEXT NOT NULL,
    UNIQUE (cluster, number)
);

CREATE TABLE addresses (
    owner TEXT PRIMARY KEY,
    host_number BIGINT NOT NULL UNIQUE
);

CREATE TABLE storages (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    doc TEXT NOT NULL,
    UNIQUE (project, name)
);

CREATE TABLE backups (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects (id),
    cluster TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    good BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX backups_list ON backups (project, created_at, id);
CREATE INDEX backups_cluster ON backups (cluster, created_at, id);

CREATE TABLE backup_copies (
    backup TEXT NOT NULL REFERENCES backups (id) ON DELETE CASCADE,
    storage TEXT NOT NULL,
    status TEXT NOT NULL,
    PRIMARY KEY (backup, storage)
);
CREATE INDEX backup_copies_storage ON backup_copies (storage, backup);

CREATE TABLE restores (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects (id),
    backup TEXT NOT NULL,
    target TEXT NOT NULL,
    status TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    previous_until BIGINT,
    doc TEXT NOT NULL
);
CREATE INDEX restores_list ON restores (project, started_at, id);
CREATE INDEX restores_target ON restores (target, started_at, id);
CREATE INDEX restores_previous ON restores (previous_until) WHERE previous_until IS NOT NULL;

CREATE TABLE secrets (
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    sealed TEXT NOT NULL,
    PRIMARY KEY (owner, kind)
);

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    project TEXT REFERENCES projects (id),
    role TEXT NOT NULL,
    is_administrator BIGINT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT
);

CREATE TABLE audit (
    seq BIGINT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    project TEXT,
    object_kind TEXT NOT NULL,
    object_id TEXT,
    result TEXT NOT NULL,
    doc TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX audit_project ON audit (project, seq);
CREATE INDEX audit_object ON audit (object_id, seq);

-- The end of the chain, so that rows cut off its end are missed too.
CREATE TABLE audit_head (
    one BIGINT PRIMARY KEY,
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL
);
INSERT INTO audit_head (one, seq, hash) VALUES (1, 0, '');

CREATE TABLE idempotency (
    actor TEXT NOT NULL,
    name TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    status BIGINT,
    body TEXT,
    PRIMARY KEY (actor, name)
);
CREATE INDEX idempotency_age ON idempotency (created_at);
