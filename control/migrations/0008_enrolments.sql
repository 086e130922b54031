-- That an account takes e-billing, and how it pays then; without a row it does not.

CREATE TABLE enrolments (
    shard INTEGER NOT NULL,
    account TEXT NOT NULL,
    enrolled INTEGER NOT NULL,
    payment_method TEXT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    PRIMARY KEY (shard, account)
) WITHOUT ROWID;

-- Every enrolment and cancellation, never altered. `agent` is whose account it was then, `notice` what became of the
-- mail to them, `alert` the mail itself, where there is one.
CREATE TABLE enrolment_changes (
    shard INTEGER NOT NULL,
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    enrolled INTEGER NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    agent TEXT,
    notice TEXT NOT NULL,
    alert BIGINT
);
CREATE INDEX enrolment_changes_by_agent ON enrolment_changes (agent, id) WHERE agent IS NOT NULL;

-- A bank account as it is shown: of its number the last four characters only. `bank` is the routing number (ach), or
-- the country of the IBAN (sepa).
CREATE TABLE bank_details (
    shard INTEGER NOT NULL,
    account TEXT NOT NULL,
    scheme TEXT NOT NULL,
    holder TEXT NOT NULL,
    bank TEXT NOT NULL,
    ending TEXT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    PRIMARY KEY (shard, account)
) WITHOUT ROWID;

-- Which mails an agent (a user's name) gets; without a row both.
CREATE TABLE notice_switches (
    agent TEXT PRIMARY KEY,
    on_enrolment INTEGER NOT NULL,
    on_cancellation INTEGER NOT NULL
) WITHOUT ROWID;
