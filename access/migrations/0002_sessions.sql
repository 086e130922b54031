-- Sessions as accounting told of them. One that ended is kept for a while, with the record that was made of it: a Stop
-- that is sent again must make the same record, not another call.

CREATE TABLE access_sessions (
    source TEXT NOT NULL,
    nas TEXT NOT NULL,
    session TEXT NOT NULL,
    line TEXT,
    username TEXT,
    nas_identifier TEXT,
    nas_address TEXT,
    peer TEXT NOT NULL,
    client TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    called TEXT,
    start_digest BLOB,
    ended_at BIGINT,
    stop_digest BLOB,
    record BLOB,
    PRIMARY KEY (source, nas, session)
) WITHOUT ROWID;
CREATE INDEX access_sessions_ended ON access_sessions (ended_at) WHERE ended_at IS NOT NULL;
