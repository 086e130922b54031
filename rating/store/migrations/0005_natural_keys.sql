-- Up to which transaction of a month the natural keys are in its table of keys; later ones are in memory, and read from
-- the transactions at a start. (The tables themselves are made with their partitions.)

CREATE TABLE natural_keys_moved (
    month INTEGER PRIMARY KEY,
    upto_id BIGINT NOT NULL
);
