-- Charges that depend on use: what each rule of a tariff has been used, and what it took off each charge; the numbers
-- that accounts call for less; and tariffs in several currencies.

-- A tariff that states a conversion has one more row for each currency: base_id is the row in its own currency, which
-- has the texts, converted_at what one unit of that currency is in this row's. So a transaction's tariff says both.
ALTER TABLE tariffs ADD COLUMN base_id INTEGER;
ALTER TABLE tariffs ADD COLUMN converted_at TEXT;

CREATE TABLE favourites (
    shard INTEGER NOT NULL,
    account TEXT NOT NULL,
    number TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (shard, account, number)
) WITHOUT ROWID;

-- used is written out: a sum of charges can go beyond 64 bits. A rule of all versions of a tariff is one by its name.
-- window_at is the first instant of the month or bill cycle that it is about; 0 where the rule has none.
CREATE TABLE allowance_state (
    shard INTEGER NOT NULL,
    id BIGINT NOT NULL,
    account TEXT NOT NULL,
    tariff TEXT NOT NULL,
    kind TEXT NOT NULL,
    rule TEXT NOT NULL,
    measure TEXT NOT NULL,
    window_at BIGINT NOT NULL,
    used TEXT NOT NULL,
    PRIMARY KEY (shard, id),
    UNIQUE (shard, account, tariff, rule, kind, measure, window_at)
) WITHOUT ROWID;

-- What each rule took off a charge, exactly, and by how much its state moved; the state is the sum of them. place is
-- the order in which they were applied; gross_micros what the call would have cost without any.
CREATE TABLE charge_reductions (
    shard INTEGER NOT NULL,
    transaction_id BIGINT NOT NULL,
    place INTEGER NOT NULL,
    state_id BIGINT NOT NULL,
    used BIGINT NOT NULL,
    percent TEXT,
    amount TEXT NOT NULL,
    gross_micros BIGINT NOT NULL,
    PRIMARY KEY (shard, transaction_id, place)
) WITHOUT ROWID;
