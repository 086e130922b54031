"""Drivers: each speaks the port `access.barring` to one kind of switch."""
