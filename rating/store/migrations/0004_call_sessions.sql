-- Which feed of a source reported a call first, by session and leg: where several report one switch, the others' records
-- of the call are duplicates. Only sources with several feeds have rows here.

CREATE TABLE call_sessions (
    source INTEGER NOT NULL,
    session TEXT NOT NULL,
    leg TEXT NOT NULL,
    feed TEXT NOT NULL,
    start_at BIGINT NOT NULL,
    PRIMARY KEY (source, session, leg)
) WITHOUT ROWID;
ALTER TABLE suspense ADD COLUMN feed TEXT;
