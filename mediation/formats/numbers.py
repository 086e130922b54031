"""The numbers of a line: brought to E.164 by the source's dial plan, or refused in words; and the type of call that
they tell.

Everywhere None stands for a source without a plan, whose numbers are E.164 as they come.
"""

from mediation.formats.unreadable import Refused
from rating.dial_plan import Dialling, digits_of
from rating.numbering import to_e164


def number(name: str, text: str, dialling: Dialling | None) -> str:
    """The key of a number. Raises Refused where `text` cannot be brought to E.164."""
    key = to_e164(text) if dialling is None else dialling.to_e164(text)
    if key is None:
        raise Refused("bad-number", f"{name} {text!r} {_why_not(text, dialling)}")
    return key


def read_as(text: str, dialling: Dialling | None) -> str:
    """What a number is known by in a record that cannot be read: its key, or how it stands there."""
    return (to_e164(text) if dialling is None else dialling.to_e164(text)) or text


def call_type(called: str, dialling: Dialling | None) -> str:
    """The type of a call that its record names no type for."""
    return "direct" if dialling is None else dialling.call_type(called)


def _why_not(text: str, dialling: Dialling | None) -> str:
    if dialling is not None:
        return dialling.why_not(text)
    plan = "; a dial plan for its source, [dial_plans.SOURCE], would bring national and dialled numbers there"
    return "is not E.164: 3 to 15 digits, the first not 0" + (plan if digits_of(text) else "")
