"""Templates: their environment, what every page knows, and how money, numbers and instants are written."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import aiohttp_jinja2
import jinja2
import msgspec
from aiohttp import web

from control.currency import decimals_of
from control.users import Principal, Role
from rating.cdr import MICROS
from rating.money import format_micros
from rating.numbering import display
from web.request import PRINCIPAL, SITE, csrf_of
from web.static_files import StaticFiles

MENU: Final[dict[Role, tuple[tuple[str, str], ...]]] = {
    Role.STAFF: (
        ("/live", "Live"), ("/accounts", "Accounts"), ("/transactions", "Calls"), ("/invoices", "Invoices"),
        ("/monitor", "Monitor"), ("/firings", "Firings"), ("/orders", "Orders"), ("/suspense", "Suspense"),
        ("/feeds", "Feeds"), ("/audit", "Audit"),
    ),
    Role.CUSTOMER: (
        ("/home", "Overview"), ("/transactions", "Calls"), ("/statements", "Statements"), ("/pay", "Pay invoice"),
        ("/payment-options", "Payment options"), ("/alerts", "Alerts"),
    ),
    Role.OPERATOR: (("/feeds", "Feeds"), ("/orders", "Orders"), ("/health", "Health")),
    Role.AGENT: (("/agent/accounts", "Accounts"), ("/agent/notices", "Notices")),
    Role.AUDITOR: (("/audit", "Audit"), ("/invoices", "Invoices")),
}  # fmt: skip
"""The menu bar of each role."""
ENTRANCE: Final = {
    Role.STAFF: "/live", Role.CUSTOMER: "/home", Role.OPERATOR: "/feeds", Role.AGENT: "/agent/accounts",
    Role.AUDITOR: "/audit",
}  # fmt: skip
"""Where a sign-in leads."""


def set_up(app: web.Application, static: StaticFiles) -> None:
    """Make the environment of an application's templates."""
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.PackageLoader("web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = static.url
    environment.filters |= {
        "number": display,
        "money": money,
        "instant": instant,
        "clock": clock_time,
        "duration": duration,
        "ago": ago,
        "local": local,
        "quantity": quantity,
        "units": units_text,
        "places": places_of,
        "padded": padded,
        "percent": lambda share: f"{share:.0%}" if share >= 0.1 or not share else f"{share:.1%}",
        "thousands": lambda value: f"{value:,}",
    }


def render(request: web.Request, template: str, context: dict[str, Any], status: int = 200) -> web.Response:
    """A page. Every template finds who asks, the menu, the path and the form token beside its own context."""
    return aiohttp_jinja2.render_template(template, request, known_to_all(request) | context, status=status)


def known_to_all(request: web.Request) -> dict[str, Any]:
    """What every template finds."""
    principal: Principal | None = request.get(PRINCIPAL)
    site = request.app[SITE]
    return {
        "principal": principal,
        "menu": MENU[principal.role] if principal else (),
        "path": request.path,
        "csrf": csrf_of(request),
        "now": site.clock(),
        "zone": zone_of(site.directory.accounts, principal),
        "version": site.version,
    }


def zone_of(accounts: Any, principal: Principal | None) -> ZoneInfo:
    """The zone that instants are shown in: the customer's account's, otherwise UTC."""
    account = accounts.get(principal.account) if principal and principal.account else None
    return ZoneInfo(account.timezone) if account else ZoneInfo("UTC")


def money(micros: int | None, least: int | str = 2) -> str:
    """An amount with thousands' commas and at least so many places, or those of a currency; more where it has them. A
    dash for none."""
    if micros is None:
        return "–"
    decimals = decimals_of(least) if isinstance(least, str) else least
    text = format_micros(abs(micros), 6).rstrip("0")
    whole, _, places = text.partition(".")
    sign = "−" if micros < 0 else ""
    return f"{sign}{int(whole):,}" + (f".{places.ljust(decimals, '0')}" if decimals or places else "")


def instant(at: int | None, zone: ZoneInfo, pattern: str = "%-d %b %Y %H:%M:%S") -> str:
    """An instant (µs UTC) in a zone; a dash for none."""
    if at is None:
        return "–"
    return datetime.fromtimestamp(at // MICROS, UTC).astimezone(zone).strftime(pattern)


def clock_time(at: int | None, zone: ZoneInfo) -> str:
    """The time of day of an instant."""
    return instant(at, zone, "%H:%M:%S")


def duration(us: int) -> str:
    """A duration (µs) as h:mm:ss or m:ss, fractions of a second cut off."""
    minutes, seconds = divmod(abs(us) // MICROS, 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if us <= -MICROS else ""
    return sign + (f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}")


def local(text: str, zone: ZoneInfo, pattern: str = "%-d %b %Y %H:%M:%S") -> str:
    """An RFC 3339 instant, as exports write it, in a zone."""
    return datetime.fromisoformat(text).astimezone(zone).strftime(pattern)


def seconds(value: object) -> str:
    """A duration in seconds, as exports write it, as h:mm:ss or m:ss."""
    text = bytes(value).decode() if isinstance(value, msgspec.Raw) else str(value)
    return duration(int(Decimal(text) * MICROS))


def quantity(call: Mapping[str, Any]) -> str:
    """What a call was of, as exports write it: its duration, or its units."""
    return seconds(call["duration"]) if call["units"] is None else units_text(call["units"])


def units_text(units: int) -> str:
    """Messages, or units of data."""
    return f"{units:,} {'unit' if abs(units) == 1 else 'units'}"


def places_of(amounts: Iterable[int | str | None], least: int = 2) -> int:
    """Decimal places that a table's amounts (micro-units, or written out) are shown with, all alike: as many as one of
    them takes, and at least so many."""
    return max([least, *(len(_decimals(amount)) for amount in amounts if amount is not None)])


def _decimals(amount: int | str) -> str:
    return amount.partition(".")[2] if isinstance(amount, str) else f"{abs(amount) % MICROS:06d}".rstrip("0")


def padded(amount: str, places: int) -> str:
    """An amount that is written out, with so many decimal places; it has no more."""
    whole, _, decimals = amount.partition(".")
    return f"{whole}.{decimals.ljust(places, '0')}" if places else whole


def ago(at: int | None, now: int) -> str:
    """How long ago an instant was, in one unit."""
    if at is None:
        return "never"
    seconds = max(0, now - at) // MICROS
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
