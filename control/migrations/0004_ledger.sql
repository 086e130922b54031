-- The ledger: what was paid, credited and taken back, in double entry. An entry is never edited; it is reversed. Its
-- postings sum to zero: what is added to one book (a debit) is taken from others (credits, negative).

CREATE TABLE ledger_entries (
    shard INTEGER NOT NULL,
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    account TEXT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    remark TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_digest BLOB NOT NULL,
    reverses INTEGER,
    UNIQUE (shard, account, idempotency_key),
    UNIQUE (shard, reverses)
);
CREATE INDEX ledger_entries_by_account ON ledger_entries (shard, account, id);

CREATE TABLE ledger_postings (
    shard INTEGER NOT NULL,
    id INTEGER PRIMARY KEY,
    entry INTEGER NOT NULL,
    book TEXT NOT NULL,
    account TEXT NOT NULL,
    amount_micros BIGINT NOT NULL,
    currency TEXT NOT NULL
);
CREATE INDEX ledger_postings_by_entry ON ledger_postings (entry);
CREATE INDEX ledger_postings_by_account ON ledger_postings (shard, account, book);
