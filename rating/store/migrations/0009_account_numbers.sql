-- A small number of each account, from 1 on and never another's: what is kept of accounts in memory is found by it.

ALTER TABLE accounts ADD COLUMN number BIGINT NOT NULL DEFAULT 0;
UPDATE accounts SET number = numbered.number
FROM (SELECT shard, account, row_number() OVER (ORDER BY shard, account) AS number FROM accounts) AS numbered
WHERE numbered.shard = accounts.shard AND numbered.account = accounts.account;
CREATE UNIQUE INDEX accounts_number ON accounts (number);
