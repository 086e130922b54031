"""A site with pages, people and calls, served by a daemon of its own process, for a real browser; beside it a switch
that bars lines and a mail server."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tests.acceptance.control_site import FakeSwitch, Peers, Staff, fault, staff_token
from tests.acceptance.daemon_process import DaemonProcess, Site, run_here, tollkeeper
from tests.small_site import (
    BOSTON,
    LONDON,
    STRANGER,
    a_record,
    account,
    accounts_csv,
    line,
    lines_csv,
    ndjson,
    write_provisioning,
)

PASSWORD: Final = "correct horse battery"
PEOPLE: Final = {
    "stella": ("--role", "staff"),
    "oscar": ("--role", "operator"),
    "carol": ("--role", "customer", "--account", account(0)),
    "changer-script": ("--role", "customer", "--account", account(1)),
    "changer-plain": ("--role", "customer", "--account", account(1)),
    "agnes": ("--role", "agent"),
    "newcomer-script": ("--role", "customer", "--account", account(4)),
    "newcomer-plain": ("--role", "customer", "--account", account(5)),
    "anton-script": ("--role", "agent", "--email", "anton-script@sales.example"),
    "anton-plain": ("--role", "agent", "--email", "anton-plain@sales.example"),
    "audrey": ("--role", "auditor"),
}
"""Who may sign in, each with PASSWORD."""

AGENTS: Final = {4: "anton-script", 5: "anton-plain", 6: "agnes", 7: "agnes"}
"""Whose the accounts are, by their numbers."""

QUIET_AFTER_S: Final = 2
CUSTOMERS: Final = 10
HARBOURS: Final = range(20, 46)
"""Numbers of accounts whose lines are at the switch; each test that acts on one has its own."""
WATCHED: Final = {"script": 24, "plain": 25}
"""Those with a call of DEAR_S ten days ago."""
DEAR_S: Final = 600
"""Of a call that costs 6.05."""
SMALL_LIMIT: Final = (26, 27)
"""Those with a credit limit of 5.00."""
ACCOUNTS: Final = CUSTOMERS + len(HARBOURS)
BREAKER: Final = 4
"""So many automatic bars, and further ones wait for a person."""
CONTROL: Final = """
[web]
listen = "127.0.0.1:0"
secure_cookies = false
[mail]
smtp = "127.0.0.1:{mail}"
from = "noc@provider.example"
[control]
breaker = {{ orders = {breaker}, per = "10m" }}
[switches.kam1]
driver = "kamailio"
url = "{url}"
"""
LATE: Final = {"script": 8, "plain": 9}
"""Numbers of lines that call already and are imported by a test only."""
LONG_LONDON: Final = 58
"""Calls of carol's to London that cost more than 2: more than a page."""


def ago(minutes: float) -> str:
    """An instant before now, as records have it."""
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat(timespec="milliseconds")


def a_call(id_: str, n: int = 0, *, minutes: float = 1, **fields: Any) -> dict[str, Any]:
    """A call of the n-th account that began some minutes ago."""
    return a_record(id_, calling=line(n), start=ago(minutes), answer=None, **fields)


def history() -> Iterator[dict[str, Any]]:
    """What came in before anybody looks."""
    for n in range(LONG_LONDON):
        yield a_call(f"long-{n}", minutes=60 + 20 * n, duration=200 + n, place="London", called=f"{LONDON[:-2]}{n:02d}")
    for n in range(6):
        yield a_call(f"short-{n}", minutes=5 + n, duration=30 + n, place="London")
        yield a_call(f"boston-{n}", minutes=7 + n, duration=600, called=BOSTON, place="Boston")
    yield a_call("limit", 2, minutes=90, duration=249_000)  # 2490.05 of a limit of 2500
    yield a_call("over", 3, minutes=90, duration=251_000)
    yield a_call("stranger", minutes=30) | {"calling": STRANGER}
    for n in LATE.values():
        yield a_call(f"late-{n}", n, minutes=20)
    for n in WATCHED.values():
        yield a_call(f"dear-{n}", n, minutes=10 * 24 * 60, duration=DEAR_S)


class WilfulSwitch(FakeSwitch):
    """One that does not bar every number, as long as it will not."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses: set[str] = set()

    def htable_sets(self, table: str, key: str, value: str) -> dict[str, Any]:
        """Bar a number, or not."""
        return fault(500, "no room in the table") if key in self.refuses else super().htable_sets(table, key, value)


class Beside(Peers):
    """That switch and the mail server."""

    def __init__(self) -> None:
        super().__init__()
        self.switch: WilfulSwitch = WilfulSwitch()


class PagesSite:
    """The site while its daemon runs. What waits for the daemon does it in a thread: the browser goes on."""

    def __init__(self, site: Site, daemon: DaemonProcess, beside: Beside) -> None:
        self._site = site
        self._daemon = daemon
        self._sent = 0
        self._token = staff_token(site)
        self.beside = beside

    async def prescribe(self, event: dict[str, Any]) -> None:
        """An account event, as a program of staff makes it."""

        def prescribe() -> None:
            with Staff(self._daemon, self._token) as staff:
                staff.prescribe(event, key=event["name"])

        await asyncio.to_thread(prescribe)

    @property
    def url(self) -> str:
        host, port = self._daemon.addresses["web"]
        return f"http://{host}:{port}"

    async def send(self, *records: dict[str, Any], source: str = "pop-a") -> None:
        """Records, stored when this returns."""
        await asyncio.to_thread(self.send_here, *records, source=source)

    def send_here(self, *records: dict[str, Any], source: str = "pop-a") -> None:
        """The same, without an event loop."""
        with self._daemon.pop(source) as pop:
            answer = pop.send(ndjson(*records))
            assert answer.status == 200, answer

    def next_number(self) -> int:
        """One that no other record of these tests has."""
        self._sent += 1
        return self._sent

    async def call(self, n: int = 0, **fields: Any) -> str:
        """A new call, stored; its called number, by which a page shows it, is its own."""
        self._sent += 1
        called = f"+44207{time.time_ns() // 1_000_000 % 1000:03d}{self._sent:04d}"
        await self.send(a_call(f"new-{time.time_ns()}", n, minutes=2, called=called, **fields))
        return called

    async def import_lines(self, n: int) -> None:
        """The line of an account that calls already, by the command for it."""
        file = self._site.write(f"late-{n}.csv", lines_csv([n]))
        ended = await asyncio.to_thread(tollkeeper, "import", "lines", file, "--config", self._site.config)
        assert ended.returncode == 0, ended


@contextmanager
def serving(directory: Path) -> Iterator[PagesSite]:
    """Provision, add the people, start the daemon, and send what it shows."""
    feed = f'quiet_after = "{QUIET_AFTER_S}s"'
    with Beside() as beside:
        control = CONTROL.format(mail=beside.mail.port, url=beside.switch.url, breaker=BREAKER)
        site = Site(directory, feed=feed, in_store=control)
        _provision(site, directory)
        with site.serving() as daemon:
            pages_site = PagesSite(site, daemon, beside)
            pages_site.send_here(*history())
            yield pages_site
            assert daemon.is_running, daemon.text
            assert not [said for said in daemon.log if json.loads(said)["level"] == "error"], daemon.text


def with_agents(text: str) -> str:
    """An accounts.csv in which some accounts have an agent."""
    for n, agent in AGENTS.items():
        text = re.sub(rf"(?m)^({account(n)},.*,standard,)", rf"\g<1>{agent}", text)
    return text


def _provision(site: Site, directory: Path) -> None:
    files = write_provisioning(directory / "provisioning", range(CUSTOMERS))
    files.accounts.write_text(with_agents(files.accounts.read_text()))
    files.lines.write_text(lines_csv(set(range(CUSTOMERS)) - {*LATE.values()}))
    harbours, berths = directory / "harbours.csv", directory / "berths.csv"
    harbours.write_text(
        accounts_csv([]) + "".join(
            f"{account(n)},Harbour {n},h{n}@piers.example,USD,America/New_York,"
            f"{'5.00' if n in SMALL_LIMIT else '2500.00'},standard,,1\n"
            for n in HARBOURS
        )
    )  # fmt: skip
    berths.write_text(
        lines_csv([]) + "".join(
            f"{line(n)},{account(n)},Transcontinental,{service},kam1\n"
            for n in HARBOURS for service in ("long-distance", "voice-mail")
        )
    )  # fmt: skip
    for kind, file in (
        ("tariff", files.tariff),
        ("accounts", files.accounts),
        ("lines", files.lines),
        ("accounts", harbours),
        ("lines", berths),
    ):
        site.done("import", kind, file)
    for name, options in PEOPLE.items():
        added = run_here("user", "add", name, *options, "--config", site.config, stdin=PASSWORD.encode() + b"\n")
        assert added.returncode == 0, added
