-- What becomes of a suspended record: mended by hand, recycled into a transaction, or discarded with a remark.
-- format is how its line is read: a format's name, with the zone of its local times after a blank. raw stays as it
-- arrived; mended is the line that stands in its place, and mended_format how that is read.

ALTER TABLE suspense ADD COLUMN format TEXT NOT NULL DEFAULT 'ndjson';
ALTER TABLE suspense ADD COLUMN mended BLOB;
ALTER TABLE suspense ADD COLUMN mended_format TEXT;
ALTER TABLE suspense ADD COLUMN changed_at BIGINT;
ALTER TABLE suspense ADD COLUMN changed_by TEXT;
ALTER TABLE suspense ADD COLUMN remark TEXT;
ALTER TABLE suspense ADD COLUMN transaction_id BIGINT;
CREATE INDEX suspense_open ON suspense (reason, id) WHERE state = 'open';
CREATE INDEX suspense_by_transaction ON suspense (transaction_id) WHERE transaction_id IS NOT NULL;

-- Who did what to a record, and when. number counts from 1 for each record.
CREATE TABLE suspense_changes (
    suspense BIGINT NOT NULL,
    number INTEGER NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    change TEXT NOT NULL,
    remark TEXT NOT NULL,
    PRIMARY KEY (suspense, number)
) WITHOUT ROWID;
