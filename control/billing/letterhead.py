"""Whose invoice it is: the name and address of the service provider, as they were when the bill was made."""

import msgspec


class Letterhead(msgspec.Struct, frozen=True, array_like=True):
    """What stands at the head of an invoice."""

    name: str
    lines: tuple[str, ...] = ()
    """Below the name: address, telephone, tax number."""
