"""What customers pay of their invoices: the rules, the discount for paying early, and what becomes of a payment."""
