-- What each accepted payment does to each invoice that it settles, the oldest first: so much is paid of it, and so much
-- let go of for paying early. Payments from before took one discount, of the invoice that they were made on.

CREATE TABLE payment_shares (
    shard INTEGER NOT NULL,
    payment BIGINT NOT NULL,
    invoice BIGINT NOT NULL,
    paid_micros BIGINT NOT NULL,
    discount_micros BIGINT NOT NULL,
    PRIMARY KEY (shard, payment, invoice)
);
CREATE INDEX payment_shares_by_invoice ON payment_shares (invoice, payment);

INSERT INTO payment_shares (shard, payment, invoice, paid_micros, discount_micros)
SELECT shard, id, invoice, amount_micros, discount_micros FROM payments WHERE entry IS NOT NULL;
