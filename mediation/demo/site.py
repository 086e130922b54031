"""The demo's site: made-up subscribers, a tariff, logins, and a daemon on an embedded store."""

import asyncio
import contextlib
import csv
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from control.events import event_rows
from control.events.definition_json import parse_event
from control.users import Role, Users
from mediation.config import Listen, read_config
from mediation.daemon import Daemon
from mediation.provisions import import_accounts_alone
from mediation.schema import all_migrations
from rating.store.sqlite import open_store
from rating.tariff import parse_tariff, read_tariff_text
from simulators.population import Line, Subscriber, lines_of, make_population
from simulators.provisioning import ProvisioningFiles, write_provisioning

POPS: Final = ("pop-nyc", "pop-chi")
SUBSCRIBED_LINES: Final = 40
SEED: Final = 7
PASSWORD: Final = "let me watch it"  # noqa: S105  # of a site that lives for minutes, on loopback
LATE_LINES: Final = "late-lines.csv"
"""Lines that call already and are not imported: their records wait in suspense until somebody does."""

SWITCH: Final = "sim"
LIMIT: Final = "180.00"
PERIODIC_CHECK_S: Final = 3600
OVER_THE_LIMIT: Final[dict[str, Any]] = {
    "accounts": {"all": True},
    "name": "over the credit limit",
    "when": {"measure": "charges", "period": "bill-cycle", "above_credit_limit": True},
    "check": {"continuous": True},
    "alert": [{"by": "email", "when": "confirmed"}],
    "respond": [{"do": "bar", "services": ["long-distance"], "until": "cleared"}],
}
"""What the demo's service provider has prescribed."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DemoSite:
    """A site that is up."""

    config: Path
    database: Path
    population: tuple[Subscriber, ...]
    addresses: dict[str, str]
    """URLs by configuration table."""
    logins: dict[str, str]
    """What each login is for, by name."""

    def shares(self) -> list[tuple[str, list[Line]]]:
        """The lines that each POP serves."""
        lines = lines_of(self.population)
        return [(name, list(lines[index :: len(POPS)])) for index, name in enumerate(POPS)]


@contextlib.asynccontextmanager
async def demo_site(
    directory: Path, say: Say, switch_url: str, listen: Listen | None = None
) -> AsyncIterator[DemoSite]:
    """Provision, start the daemon, and stop it at the end. `switch_url` is where the lines' switch takes commands."""
    population = make_population(SUBSCRIBED_LINES, SEED)
    config = directory / "tollkeeper.toml"
    config.write_text(_config(listen, switch_url))
    logins = await _provision(directory, population, say)
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    daemon = Daemon(read_config(config))
    running = asyncio.create_task(daemon.run(stop, ready.set_result), name="daemon")
    try:
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            await running  # raises what kept it from starting
        addresses = {name: f"http://{host}:{port}" for name, (host, port) in ready.result().items()}
        yield DemoSite(config, directory / "tollkeeper.db", population, addresses, logins)
    finally:
        stop.set()
        await asyncio.wait({running})
    running.result()


def _config(listen: Listen | None, switch_url: str) -> str:
    sources = "\n".join(f'[feeds.pops.sources.{name}]\ntoken = "{name}"' for name in POPS)
    return (
        '[store]\nurl = "sqlite:///tollkeeper.db"\n[ops]\nlisten = "127.0.0.1:0"\n'
        f'[web]\nlisten = "{listen or "127.0.0.1:0"}"\n'
        f"secure_cookies = {'false' if listen is None or listen.loopback else 'true'}\n"
        '[control]\nbreaker = { orders = 200, per = "10m" }\n'
        f'[switches.{SWITCH}]\ndriver = "kamailio"\nurl = "{switch_url}"\n'
        f'[feeds.pops]\ntype = "pop"\nlisten = "127.0.0.1:0"\nquiet_after = "30s"\n{sources}\n'
    )


async def _provision(directory: Path, population: tuple[Subscriber, ...], say: Say) -> dict[str, str]:
    """Import what the site needs; the logins."""
    since = (datetime.now(UTC) - timedelta(days=62)).date().replace(day=1)
    files = write_provisioning(directory, population, valid_from=since, switch_of=lambda _: SWITCH)
    _hold_back_lines(directory, files)
    _lower_limits(files)
    now = time.time_ns() // 1000
    store = await open_store(directory / "tollkeeper.db", all_migrations(), now)
    try:
        text = read_tariff_text(files.tariff)
        await store.import_tariff(text, parse_tariff(text), now)
        accounts = await import_accounts_alone(store, files.accounts.read_text(), now)
        lines = await store.import_lines(files.lines.read_text())
        await store.transact(event_rows.insert_event, parse_event(OVER_THE_LIMIT), "demo", now, PERIODIC_CHECK_S)
        users = await Users.load(store, lambda: now)
        first = population[0].account
        logins = {
            "staff": (Role.STAFF, None, "the service provider's own people"),
            "customer": (Role.CUSTOMER, first, f"account {first}"),
            "operator": (Role.OPERATOR, None, "network operations"),
        }
        for name, (role, account, _) in logins.items():
            await users.add_user(name, role, account, None, PASSWORD, "demo")
        users.close()
    finally:
        await store.close()
    say(f"imported {accounts} accounts, {lines} services of their lines, and the tariff")
    return {name: words for name, (_, _, words) in logins.items()}


def _lower_limits(files: ProvisioningFiles) -> None:
    """Give every account a limit that some have crossed in the weeks before, and others will cross in a while."""
    with files.accounts.open(newline="") as file:
        header, *rows = csv.reader(file)
    column = header.index("credit_limit")
    with files.accounts.open("w", newline="") as file:
        csv.writer(file).writerows([header, *([*row[:column], LIMIT, *row[column + 1 :]] for row in rows)])


def _hold_back_lines(directory: Path, files: ProvisioningFiles) -> None:
    """Take the last line out of lines.csv, and put it into a file of its own."""
    header, *rows = files.lines.read_text().splitlines(keepends=True)
    late = rows[-1].partition(",")[0]
    (directory / LATE_LINES).write_text(header + "".join(row for row in rows if row.startswith(late)))
    files.lines.write_text(header + "".join(row for row in rows if not row.startswith(late)))
