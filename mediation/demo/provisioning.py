"""What the demo's site knows before it starts: people and their lines, prices, rules of payment, events, logins."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from control.enrolment import Enrolments
from control.events import event_rows
from control.events.definition_json import parse_event
from control.users import Role, Users
from mediation.provisions import import_accounts_alone
from mediation.schema import all_migrations
from mediation.writer_rules import RulesText, import_rules
from rating.store.port import Store
from rating.store.sqlite import open_store
from rating.tariff import parse_tariff, read_tariff_text
from simulators.population import Subscriber, make_population
from simulators.provisioning import ProvisioningFiles, write_provisioning

SUBSCRIBED_LINES: Final = 40
SEED: Final = 7
PASSWORD: Final = "let me watch it"  # noqa: S105  # of a site that lives for minutes, on loopback
SWITCH: Final = "sim"
"""Where all lines are."""
LATE_LINES: Final = "late-lines.csv"
"""Lines that call already and are not imported: their records wait in suspense until somebody does."""
PAST: Final = timedelta(days=62)
"""Two months back there have been calls."""

_LIMITS: Final = {"household": "40.00", "business": "500.00"}
"""Limits that some have crossed in the weeks before, and others will cross in a while."""
_CYCLE_BEGAN: Final = timedelta(days=3)
"""The customer's bill cycle began so long ago, and the one before it can be billed."""
_AGENTS: Final = ("agent", "colleague")
_PERIODIC_CHECK_S: Final = 3600
_ACTOR: Final = "demo"
_OVER_THE_LIMIT: Final[dict[str, Any]] = {
    "accounts": {"all": True},
    "name": "over the credit limit",
    "when": {"measure": "charges", "period": "bill-cycle", "above_credit_limit": True},
    "check": {"continuous": True},
    "alert": [{"by": "email", "when": "confirmed"}],
    "respond": [{"do": "bar", "services": ["long-distance"], "until": "cleared"}],
}
"""What the demo's service provider has prescribed."""
_RULES: Final = """\
name = "standard"
[early_payment_discount]
percent = "2"
days = 10
[payment]
due_days = 30
"""


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody who may sign in."""

    name: str
    role: Role
    words: str
    """What the login is for."""
    account: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What has been imported."""

    logins: tuple[Login, ...]
    tokens: dict[Role, str] = field(repr=False)
    """Of programs that watch for the demo itself; the customer's is the first account's."""


def people(now: datetime) -> tuple[Subscriber, ...]:
    """Everybody who has an account. The first one is the customer of the story, who has one line; a few days ago a
    bill cycle of theirs began."""
    subscribers = [replace(one, credit_limit=_LIMITS[one.segment]) for one in make_population(SUBSCRIBED_LINES, SEED)]
    customer = next(one for one in subscribers if len(one.lines) == 1)
    began = (now.astimezone(ZoneInfo(customer.zone)) - _CYCLE_BEGAN).date()
    others = (one for one in subscribers if one is not customer)
    return (replace(customer, cycle_day=began.day), *others)


async def provision(database: Path, subscribers: Sequence[Subscriber], say: Callable[[str], None]) -> Provisioned:
    """Import what the site needs into a new store."""
    since = (datetime.now(UTC) - PAST).date().replace(day=1)
    now = time.time_ns() // 1000
    store = await open_store(database, all_migrations(), now)
    try:
        say(await _import_files(store, database.parent, subscribers, since, now))
        await store.transact(event_rows.insert_event, parse_event(_OVER_THE_LIMIT), _ACTOR, now, _PERIODIC_CHECK_S)
        await import_rules(store, RulesText(_RULES, "rules.toml", _ACTOR), now)
        logins = _logins(subscribers)
        tokens = await _let_in(store, logins, subscribers[0].account, now)
        enrolments = await Enrolments.load(store, lambda: now)
        await enrolments.enrol(subscribers[0].account, _ACTOR)
    finally:
        await store.close()
    return Provisioned(logins, tokens)


async def _import_files(store: Store, directory: Path, subscribers: Sequence[Subscriber], since: date, now: int) -> str:
    files = write_provisioning(directory, subscribers, valid_from=since, agents=_AGENTS, switch_of=lambda _: SWITCH)
    _hold_back_lines(directory, files)
    text = read_tariff_text(files.tariff)
    await store.import_tariff(text, parse_tariff(text), now)
    accounts = await import_accounts_alone(store, files.accounts.read_text(), now)
    lines = await store.import_lines(files.lines.read_text())
    return f"imported {accounts} accounts, {lines} services of their lines, the tariff, and the rules of payment"


def _logins(subscribers: Sequence[Subscriber]) -> tuple[Login, ...]:
    # Agents take turns: the newcomer's is the customer's.
    customer, newcomer = subscribers[0], subscribers[len(_AGENTS)]
    agent = _AGENTS[0]
    return (
        Login("staff", Role.STAFF, "the service provider's own people"),
        Login("customer", Role.CUSTOMER, f"{customer.name}, account {customer.account}", customer.account),
        Login(
            "newcomer", Role.CUSTOMER, f"{newcomer.name}, account {newcomer.account}, not enrolled yet",
            newcomer.account,
        ),
        Login(agent, Role.AGENT, "whose accounts these are, and others", None, f"{agent}@example.com"),
        Login("operator", Role.OPERATOR, "network operations"),
        Login("auditor", Role.AUDITOR, "who looks at bills before customers do"),
    )  # fmt: skip


async def _let_in(store: Store, logins: Sequence[Login], customer: str, now: int) -> dict[Role, str]:
    users = await Users.load(store, lambda: now)
    for login in logins:
        await users.add_user(login.name, login.role, login.account, login.email, PASSWORD, _ACTOR)
    tokens = {
        Role.STAFF: await users.add_token("the demo, as staff", Role.STAFF, None, _ACTOR),
        Role.CUSTOMER: await users.add_token("the demo, as customer", Role.CUSTOMER, customer, _ACTOR),
    }
    users.close()
    return tokens


def _hold_back_lines(directory: Path, files: ProvisioningFiles) -> None:
    """Take the last line out of lines.csv, and put it into a file of its own."""
    header, *rows = files.lines.read_text().splitlines(keepends=True)
    late = rows[-1].partition(",")[0]
    (directory / LATE_LINES).write_text(header + "".join(row for row in rows if row.startswith(late)))
    files.lines.write_text(header + "".join(row for row in rows if not row.startswith(late)))
