-- Months whose transactions were exported to the archive and dropped, and what is still counted of them.

-- state: closed (nothing is added to it any more; it is being exported), retired (it is in the archive and counts by the
-- tables below; its rows are being deleted), dropped. last_id is the last transaction that it had.
CREATE TABLE retired_months (
    month INTEGER PRIMARY KEY,
    state TEXT NOT NULL,
    last_id BIGINT NOT NULL,
    closed_at BIGINT NOT NULL,
    retired_at BIGINT,
    transactions BIGINT,
    file TEXT,
    sha256 TEXT
);

-- What an account's transactions of such a month came to, by the bill that they are on and by the month and bill cycle
-- of the account in which they were answered; answer_at is the first of these. Amounts are written out: a sum can go
-- beyond 64 bits. It counts once the month is retired.
CREATE TABLE retired_charges (
    shard INTEGER NOT NULL,
    month INTEGER NOT NULL,
    account TEXT NOT NULL,
    bill BIGINT NOT NULL,
    answer_at BIGINT NOT NULL,
    charge_micros TEXT NOT NULL,
    duration_us TEXT NOT NULL,
    calls BIGINT NOT NULL,
    transactions BIGINT NOT NULL,
    PRIMARY KEY (shard, month, account, bill, answer_at)
) WITHOUT ROWID;

-- How many of its transactions arrived by source and UTC day (days since 1970).
CREATE TABLE retired_arrivals (
    source INTEGER NOT NULL,
    day INTEGER NOT NULL,
    month INTEGER NOT NULL,
    stored BIGINT NOT NULL,
    PRIMARY KEY (source, day, month)
) WITHOUT ROWID;

-- What of the use of a rule is by transactions that were dropped, written out.
ALTER TABLE allowance_state ADD COLUMN retired_use TEXT NOT NULL DEFAULT '0';
