-- Why services of lines are barred. A target (switch, line, service) is barred as long as one of its reasons is open;
-- when the last one ends, it is restored. A firing's reason ends when its condition is false (until 'cleared', looked at
-- again at look_at), when its period is over ('period-end', at look_at), or by a person ('restored').

CREATE TABLE bar_reasons (
    id INTEGER PRIMARY KEY,
    shard INTEGER NOT NULL,
    account TEXT NOT NULL,
    switch TEXT NOT NULL,
    line TEXT NOT NULL,
    service TEXT NOT NULL,
    event BIGINT,
    firing BIGINT,
    actor TEXT NOT NULL,
    words TEXT NOT NULL,
    until TEXT NOT NULL,
    look_at BIGINT,
    began_at BIGINT NOT NULL,
    ended_at BIGINT,
    ended_words TEXT
);
CREATE INDEX bar_reasons_open ON bar_reasons (account) WHERE ended_at IS NULL;
CREATE INDEX bar_reasons_look ON bar_reasons (look_at) WHERE ended_at IS NULL AND look_at IS NOT NULL;
CREATE INDEX bar_reasons_by_firing ON bar_reasons (firing) WHERE firing IS NOT NULL;

-- The breaker lets automatic bars through again from when a person has dealt with those that it held.
CREATE TABLE breaker (
    shard INTEGER PRIMARY KEY,
    closed_at BIGINT NOT NULL
);
