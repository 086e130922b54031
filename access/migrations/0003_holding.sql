-- A bar that was confirmed is looked at again and again, for as long as it is what its target's last order was; losses
-- counts how often in a row it soon did not hold any more.

ALTER TABLE access_orders ADD COLUMN holds_since BIGINT;
ALTER TABLE access_orders ADD COLUMN losses INTEGER NOT NULL DEFAULT 0;
UPDATE access_orders SET holds_since = confirmed_at
    WHERE action = 'bar' AND state = 'confirmed' AND NOT EXISTS (
        SELECT 1 FROM access_orders AS n
        WHERE n.shard = access_orders.shard AND n.line = access_orders.line AND n.service = access_orders.service
            AND n.switch = access_orders.switch AND n.id > access_orders.id AND n.sent_at IS NOT NULL
    );
CREATE INDEX access_orders_holding ON access_orders (switch, id) WHERE holds_since IS NOT NULL;
CREATE INDEX access_orders_holding_line ON access_orders (line) WHERE holds_since IS NOT NULL;
CREATE INDEX access_orders_holding_username ON access_orders (username)
    WHERE holds_since IS NOT NULL AND username IS NOT NULL;

-- What an order's own row tells no longer: that it was confirmed and then lost, or had failed and a person tried again.

CREATE TABLE access_order_history (
    shard INTEGER NOT NULL,
    order_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at BIGINT NOT NULL,
    words TEXT NOT NULL,
    PRIMARY KEY (shard, order_id, number)
);
