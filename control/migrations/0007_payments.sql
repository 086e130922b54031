-- What customers pay of their invoices, and the rules for it.

-- The rules as they were imported, each a version of its own: an invoice goes by the one in force on its date, the
-- greatest valid_from (a day; empty: always) that is not after it, and of several the newest.
CREATE TABLE rule_versions (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    valid_from TEXT NOT NULL,
    discount_percent_micros BIGINT,
    discount_days INTEGER,
    due_days INTEGER NOT NULL,
    below_micros BIGINT NOT NULL,
    imported_at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX rule_versions_in_force ON rule_versions (valid_from, id);

-- The outbox of payments, and what was refused: a customer's every attempt, once for its key. amount_micros is null
-- where a refused one named none. reason is why it was refused or came to nothing, words the same for people; entry and
-- the like are the ledger's.
CREATE TABLE payments (
    shard INTEGER NOT NULL,
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    invoice BIGINT NOT NULL,
    amount_micros BIGINT,
    discount_micros BIGINT NOT NULL,
    currency TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    words TEXT NOT NULL,
    requested_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_digest BLOB NOT NULL,
    entry BIGINT,
    discount_entry BIGINT,
    settlement_entry BIGINT,
    UNIQUE (shard, account, idempotency_key)
);
CREATE INDEX payments_by_account ON payments (shard, account, id);
CREATE INDEX payments_by_invoice ON payments (invoice, id);
CREATE INDEX payments_by_entry ON payments (entry) WHERE entry IS NOT NULL;
CREATE INDEX payments_pending ON payments (account)
    WHERE state IN ('requested', 'batched', 'submitted', 'unknown');
CREATE INDEX payments_by_state ON payments (state, id) WHERE state IN ('requested', 'batched', 'submitted', 'unknown');
