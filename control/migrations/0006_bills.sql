-- Bills: the formal record of what an account was charged in a bill cycle. A bill is never altered: with its document it
-- says the same in years. Its number is the invoice's, without gaps. It covers the account's transactions that were
-- answered before its cycle ended, up to the transaction covers_id, and that no earlier bill of the account covers.
-- Its charges are posted by the ledger entry `entry`. The discount's columns are null where none is offered.

CREATE TABLE bills (
    shard INTEGER NOT NULL,
    number INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    period TEXT NOT NULL,
    cycle_start BIGINT NOT NULL,
    cycle_end BIGINT NOT NULL,
    issued_at BIGINT NOT NULL,
    issued_on TEXT NOT NULL,
    due_on TEXT NOT NULL,
    currency TEXT NOT NULL,
    decimals INTEGER NOT NULL,
    previous_balance_micros BIGINT NOT NULL,
    payments_micros BIGINT NOT NULL,
    adjustments_micros BIGINT NOT NULL,
    current_charges_micros BIGINT NOT NULL,
    total_due_micros BIGINT NOT NULL,
    discount_rule INTEGER,
    discount_micros BIGINT,
    discount_first_on TEXT,
    discount_last_on TEXT,
    calls INTEGER NOT NULL,
    covers_id BIGINT NOT NULL,
    entry INTEGER NOT NULL,
    document BLOB NOT NULL,
    UNIQUE (shard, account, cycle_start)
);
CREATE INDEX bills_by_account ON bills (shard, account, number);
