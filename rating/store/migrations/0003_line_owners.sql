-- Every line that an account ever had: a search of its calls goes over them, also after a line's row was replaced.

CREATE TABLE line_owners (
    shard INTEGER NOT NULL,
    account TEXT NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (shard, account, line)
) WITHOUT ROWID;
INSERT INTO line_owners SELECT DISTINCT shard, account, line FROM lines;
