-- The alerts that customers prescribe for themselves are found by who made them: the people of an account.

CREATE INDEX account_events_by_creator ON account_events (created_by) WHERE state <> 'deleted';
CREATE INDEX users_by_account ON users (account) WHERE account IS NOT NULL;
