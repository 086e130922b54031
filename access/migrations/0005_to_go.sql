-- What is to go out goes before looks at what went out, however many of those are due.

DROP INDEX access_orders_not_sent;
CREATE INDEX access_orders_to_go ON access_orders (switch, next_at, id)
    WHERE state IN ('planned', 'sent') AND next_at IS NOT NULL;

-- The switches that the dispatcher serves, since its start, and how many orders each may have in the state `sent` for
-- new ones to be written so by the transaction that plans them: they go out when it is committed.

CREATE TABLE access_served (
    switch TEXT PRIMARY KEY,
    most_sent INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX access_orders_sent ON access_orders (switch) WHERE state = 'sent';
