-- Every step of an order asks what bars its target, and every bar how many there were lately: neither may take longer
-- the more is barred.

CREATE INDEX bar_reasons_by_target ON bar_reasons (line, service, switch) WHERE ended_at IS NULL;
CREATE INDEX bar_reasons_automatic ON bar_reasons (began_at) WHERE firing IS NOT NULL;
