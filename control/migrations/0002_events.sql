-- Account events as prescribed, and what fired.

CREATE TABLE account_events (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    definition TEXT NOT NULL,
    state TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    -- of an event that is not checked continuously: when it was, up to which transaction, and when it will be
    last_checked_at BIGINT,
    checked_id BIGINT NOT NULL DEFAULT 0,
    next_check_at BIGINT
);
CREATE INDEX account_events_due ON account_events (next_check_at) WHERE next_check_at IS NOT NULL;

-- threshold is the one in force, in words; trace says what it was compared with.
CREATE TABLE firings (
    id INTEGER PRIMARY KEY,
    shard INTEGER NOT NULL,
    event BIGINT NOT NULL,
    account TEXT NOT NULL,
    period_start BIGINT NOT NULL,
    period_end BIGINT NOT NULL,
    threshold TEXT NOT NULL,
    fired_at BIGINT NOT NULL,
    transaction_id BIGINT,
    late INTEGER NOT NULL,
    trace TEXT NOT NULL,
    UNIQUE (shard, account, event, period_start, threshold)
);
CREATE INDEX firings_by_transaction ON firings (transaction_id) WHERE transaction_id IS NOT NULL;

-- What came true besides, while the event held already: it does not fire again for these.
CREATE TABLE firing_periods (
    shard INTEGER NOT NULL,
    account TEXT NOT NULL,
    event BIGINT NOT NULL,
    period_start BIGINT NOT NULL,
    threshold TEXT NOT NULL,
    PRIMARY KEY (shard, account, event, period_start, threshold)
) WITHOUT ROWID;
CREATE INDEX firings_by_event ON firings (shard, event, fired_at);
