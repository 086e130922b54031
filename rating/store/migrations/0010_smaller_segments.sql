-- Segments of 2^15 ids instead of 2^16. With many million transactions it takes some minutes.

DROP INDEX IF EXISTS transactions_{month}_line;
CREATE INDEX transactions_{month}_line ON transactions_{month} (id >> 15, line);
DROP INDEX IF EXISTS transactions_{month}_called;
CREATE INDEX transactions_{month}_called ON transactions_{month} (id >> 15, called);
