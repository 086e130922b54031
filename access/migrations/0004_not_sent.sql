-- What was not sent yet goes before looks at what was, however many of those are due.

CREATE INDEX access_orders_not_sent ON access_orders (switch, next_at, id) WHERE state = 'planned' AND next_at IS NOT NULL;
