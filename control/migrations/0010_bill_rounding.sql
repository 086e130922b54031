-- A bill's total due is what its currency can pay: rounding brings it there, and carried is what is left over, for the
-- next bill. Rounding is null on bills from before.

ALTER TABLE bills ADD COLUMN rounding_micros BIGINT;
ALTER TABLE bills ADD COLUMN carried_micros BIGINT NOT NULL DEFAULT 0;
