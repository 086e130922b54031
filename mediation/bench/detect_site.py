"""The site of `bench detect`: besides the usual accounts, which never cross anything, those that are to be barred."""

import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from access import order_rows
from access.orders import Action, Order
from control.events import event_rows
from control.events.definition_json import parse_event
from mediation.bench.site import Site, account_number
from mediation.failure import Failure
from mediation.schema import all_migrations
from rating.store.read_only import connect_reader
from rating.store.sqlite import open_store
from simulators.load_records import line_number

SECRET: Final = "bench"  # noqa: S105  # of a NAS on loopback that lives for a minute
NAS: Final = "nas1"
SERVICE: Final = "long-distance"

_OUT_OF_REACH: Final = "1000000000"
_LIMIT: Final = "0.10"
"""Less than an hour costs anywhere."""
_PERIODIC_S: Final = 3600
_EVENT: Final[dict[str, Any]] = {
    "accounts": {"all": True},
    "name": "over the credit limit",
    "when": {"measure": "charges", "period": "bill-cycle", "above_credit_limit": True},
    "check": {"continuous": True},
    "alert": [{"by": "email", "when": "confirmed"}],
    "respond": [{"do": "bar", "services": [SERVICE], "until": "cleared"}],
}
_SECTIONS: Final = """
[feeds.radius]
type = "radius-accounting"
listen = "127.0.0.1:0"
[feeds.radius.clients.{nas}]
address = "127.0.0.1"
secret = "{secret}"
[switches.{nas}]
driver = "radius"
address = "{address}"
secret = "{secret}"
[control]
breaker = {{ orders = 1000000, per = "10m" }}
"""


@dataclass(frozen=True, slots=True)
class DetectSite:
    """A site, and those of its accounts that a single call takes over the limit: they come after the others."""

    site: Site
    marked: int

    @property
    def first_marked(self) -> int:
        """The index of the first of their accounts, and lines."""
        return self.site.accounts

    def provision(self, prefixes: int, nas: str) -> None:
        """Write and import everything; `nas` is where it takes requests."""
        self.site.provision(prefixes)
        with self.site.config.open("a") as config:
            config.write(_SECTIONS.format(nas=NAS, secret=SECRET, address=nas))
        # Half a month off: no call of this run is of the bill cycle before.
        cycle_day = (datetime.now(UTC).day + 14) % 28 + 1
        accounts = (self.site.directory / "accounts.csv").read_text().replace(",2500,", f",{_OUT_OF_REACH},")
        lines = "line,account,provider,service,switch\n"
        for index in range(self.first_marked, self.first_marked + self.marked):
            number = account_number(index)
            accounts += f"{number},Customer {index},c@example.com,USD,America/New_York,{_LIMIT},bench,,{cycle_day}\n"
            lines += f"{line_number(index)},{number},Atlantic Telecom,{SERVICE},{NAS}\n"
        self._import("accounts", accounts)
        self._import("lines", lines)
        asyncio.run(self._prescribe())

    def called(self) -> str:
        """A number that has a rate."""
        return "+" + self.site.prefixes.read_text().split()[0].ljust(12, "0")

    def orders(self) -> list[Order]:
        """Every access order, the newest first."""
        cx = connect_reader(self.site.store)
        try:
            return order_rows.listed(cx, limit=2 * self.marked + 1)
        finally:
            cx.close()

    def check_orders(self) -> None:
        """Raises Failure unless there is one bar of each marked line, which the NAS acknowledged, and nothing else."""
        orders = self.orders()
        wanted = {line_number(index)[1:] for index in range(self.first_marked, self.first_marked + self.marked)}
        others = [order for order in orders if order.target.line not in wanted or order.action is not Action.BAR]
        if others:
            raise Failure(f"{len(others)} orders that nobody called for, such as {others[0]}")
        if len(orders) != self.marked:
            raise Failure(f"{len(orders)} bars were ordered, of {self.marked} lines")
        open_ = [order for order in orders if order.acknowledged_at is None]
        if open_:
            raise Failure(f"{len(open_)} orders were not acknowledged, such as {open_[0]}")

    def _import(self, kind: str, text: str) -> None:
        file = self.site.directory / f"{kind}-marked.csv"
        file.write_text(text)
        command = [sys.executable, "-m", "mediation.cli", "import", kind, str(file), "--config", str(self.site.config)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"the bench's own {kind} could not be imported: {done.stderr.strip()}")

    async def _prescribe(self) -> None:
        now = time.time_ns() // 1000
        store = await open_store(self.site.store, all_migrations(), now)
        try:
            await store.transact(event_rows.insert_event, parse_event(_EVENT), "bench", now, _PERIODIC_S)
        finally:
            await store.close()
