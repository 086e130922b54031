-- An account's enrolments and cancellations, for the pages that show them.

CREATE INDEX enrolment_changes_by_account ON enrolment_changes (shard, account, id);
