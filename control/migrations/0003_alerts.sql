-- The outbox of alerts: what shall be told to whom, by which medium, once only, and what became of it. `facts` (JSON)
-- are the values that are fixed when it is called for; the text is made of them when it is sent.

CREATE TABLE alerts (
    shard INTEGER NOT NULL,
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    medium TEXT NOT NULL,
    recipient TEXT NOT NULL,
    account TEXT NOT NULL,
    firing INTEGER,
    facts TEXT NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL,
    at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    sent_at BIGINT,
    words TEXT NOT NULL,
    UNIQUE (shard, key)
);
CREATE INDEX alerts_waiting ON alerts (due_at, id) WHERE state = 'waiting';
CREATE INDEX alerts_by_state ON alerts (state, id);
CREATE INDEX alerts_by_account ON alerts (shard, account, id);
CREATE INDEX alerts_by_firing ON alerts (firing) WHERE firing IS NOT NULL;
