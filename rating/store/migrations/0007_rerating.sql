-- Transactions that were charged again: which row takes the charge of another back, and which one stands in its place.
-- `original` has one reversal at most; a transaction that stands in the place of one may itself be charged again.

CREATE TABLE rerate_runs (
    shard INTEGER NOT NULL DEFAULT 0,
    id INTEGER NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    scope TEXT NOT NULL,
    changed BIGINT NOT NULL,
    totals TEXT NOT NULL,
    PRIMARY KEY (shard, id)
);

CREATE TABLE rerated (
    original INTEGER PRIMARY KEY,
    shard INTEGER NOT NULL DEFAULT 0,
    reversal BIGINT NOT NULL,
    replacement BIGINT,
    run INTEGER NOT NULL
);
CREATE INDEX rerated_replacement ON rerated (replacement);
