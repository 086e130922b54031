"""Account events: what is prescribed on accounts, when it holds, and what fired."""
