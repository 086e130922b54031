-- The main path: provisioning by version, transactions (their partitions are made by the engine), suspense,
-- positions, tallies of arrivals and the snapshot of the counters.

CREATE TABLE sources (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

CREATE TABLE accounts (
    shard INTEGER NOT NULL,
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    email TEXT,
    currency TEXT NOT NULL,
    timezone TEXT NOT NULL,
    credit_limit_micros BIGINT,
    tariff TEXT,
    agent TEXT,
    cycle_day INTEGER NOT NULL,
    fax TEXT,
    pager TEXT,
    phone TEXT,
    language TEXT,
    segment TEXT,
    opened_at BIGINT NOT NULL,
    PRIMARY KEY (shard, account)
) WITHOUT ROWID;

-- A line with several services has several rows; from_on is the date the account has it ('' = always had).
CREATE TABLE lines (
    shard INTEGER NOT NULL,
    line TEXT NOT NULL,
    service TEXT NOT NULL,
    from_on TEXT NOT NULL,
    account TEXT NOT NULL,
    provider TEXT NOT NULL,
    switch TEXT,
    tariff TEXT,
    position BIGINT NOT NULL,
    PRIMARY KEY (shard, line, service, from_on)
) WITHOUT ROWID;
CREATE INDEX lines_by_account ON lines (shard, account);

-- Every version that was ever imported stays: a charge is explained from the texts that it was rated by.
-- Of several with one name and valid_from_at, the one with the greatest id is in force.
CREATE TABLE tariffs (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    valid_from_at BIGINT,
    currency TEXT NOT NULL,
    decimals INTEGER NOT NULL,
    imported_at BIGINT NOT NULL,
    toml_name TEXT NOT NULL,
    toml TEXT NOT NULL,
    deck_name TEXT NOT NULL,
    deck_zlib BLOB NOT NULL
);

CREATE TABLE partitions (
    month INTEGER PRIMARY KEY
);

-- Why a row is here: reason. How it is known again: digest, over the parsed values, or over the bytes where the
-- natural key cannot be read.
CREATE TABLE suspense (
    id INTEGER PRIMARY KEY,
    shard INTEGER NOT NULL,
    source INTEGER NOT NULL,
    digest BLOB NOT NULL,
    record_id TEXT,
    start_at BIGINT,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    raw BLOB NOT NULL,
    arrived_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    UNIQUE (source, digest)
);
CREATE INDEX suspense_by_key ON suspense (start_at, record_id, source);

CREATE TABLE batches (
    source INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (source, epoch, sequence)
) WITHOUT ROWID;

-- What came in, by source and UTC day of arrival (days since 1970).
CREATE TABLE arrivals (
    source INTEGER NOT NULL,
    day INTEGER NOT NULL,
    received BIGINT NOT NULL,
    stored BIGINT NOT NULL,
    duplicate BIGINT NOT NULL,
    suspended BIGINT NOT NULL,
    PRIMARY KEY (source, day)
) WITHOUT ROWID;

-- The counters are a projection of the transactions; this is where they stood after transaction covers_id.
CREATE TABLE counter_snapshot (
    shard INTEGER NOT NULL,
    part INTEGER NOT NULL,
    covers_id BIGINT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (shard, part)
) WITHOUT ROWID;
