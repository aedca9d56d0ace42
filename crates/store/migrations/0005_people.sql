-- People: users, what they may do where, their sessions, and the links that let somebody in once.

-- Names and addresses are compared in lower case. The password's hash has a column of its own, so that
-- no document that is shown ever holds it.
CREATE TABLE users (
    id TEXT PRIMARY KEY,
    name_key TEXT NOT NULL UNIQUE,
    email_key TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    password TEXT NOT NULL,
    doc TEXT NOT NULL
);

CREATE TABLE members (
    project TEXT NOT NULL REFERENCES projects (id),
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    added_at BIGINT NOT NULL,
    PRIMARY KEY (project, user_id)
);
CREATE INDEX members_user ON members (user_id);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    from_address TEXT NOT NULL,
    agent TEXT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id, id);

-- The first administrator's, invitations, and new passwords. A used one is gone.
CREATE TABLE links (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    project TEXT REFERENCES projects (id),
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL,
    doc TEXT NOT NULL
);

-- Who made a token: with the person it goes.
ALTER TABLE tokens ADD COLUMN made_by TEXT;
