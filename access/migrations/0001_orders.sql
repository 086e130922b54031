-- Every bar and restore on its way to a switch, and what became of it. Never deleted: this is also the record.
-- next_at says when to act on it next; NULL for what is held, over, or being sent just now.

CREATE TABLE access_orders (
    shard INTEGER NOT NULL,
    id INTEGER NOT NULL,
    account TEXT NOT NULL,
    switch TEXT NOT NULL,
    line TEXT NOT NULL,
    service TEXT NOT NULL,
    username TEXT,
    action TEXT NOT NULL,
    reason TEXT NOT NULL,
    cause TEXT NOT NULL,
    state TEXT NOT NULL,
    planned_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    next_at BIGINT,
    held_at BIGINT,
    sent_at BIGINT,
    acknowledged_at BIGINT,
    confirmed_at BIGINT,
    ended_at BIGINT,
    tries INTEGER NOT NULL,
    refusals INTEGER NOT NULL,
    checks INTEGER NOT NULL,
    misses INTEGER NOT NULL,
    words TEXT,
    supersedes INTEGER,
    replaced_by INTEGER,
    PRIMARY KEY (shard, id)
);
CREATE INDEX access_orders_by_next ON access_orders (switch, next_at, id) WHERE next_at IS NOT NULL;
CREATE INDEX access_orders_without_words ON access_orders (shard, next_at, switch)
    WHERE words IS NULL AND next_at IS NOT NULL;
CREATE INDEX access_orders_by_target ON access_orders (line, service, switch, id);
CREATE INDEX access_orders_by_account ON access_orders (account, id);
CREATE INDEX access_orders_by_state ON access_orders (state, id);
