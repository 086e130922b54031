"""A fresh site to measure: a directory with configuration, accounts, lines and a deck, and the daemon on it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from mediation.failure import Failure
from simulators.load_records import line_number

TOKEN: Final = "bench"  # noqa: S105  # of a daemon on loopback that lives for a minute
SOURCE: Final = "pop-bench"

_PROGRAM: Final = (sys.executable, "-m", "mediation.cli")

_CONFIG: Final = f"""
[store]
url = "sqlite:///bench.db"
[rating]
processes = 1
[ops]
listen = "127.0.0.1:0"
[feeds.pops]
type = "pop"
listen = "127.0.0.1:0"
[feeds.pops.sources.{SOURCE}]
token = "{TOKEN}"
"""

_WEB: Final = """
[web]
listen = "127.0.0.1:0"
secure_cookies = false
"""

LINES_OF_CONSOLIDATED: Final = 50
"""Lines of an account that is consolidated; the others have one each."""

_LOOK_EVERY_S: Final = 0.02

TARIFF: Final = """
name = "bench"
currency = "USD"
timezone = "America/New_York"
decimals = 4
deck = "bench.csv"
[[period]]
name = "off-peak"
[[period]]
name = "peak"
days = "mon-fri"
from = "08:00"
to = "19:00"
priority = 10
"""


def deck(prefixes: int, seed: int = 1) -> tuple[str, list[str]]:
    """A deck of `prefixes` prefixes of 3 to 7 digits with two periods each, and the prefixes."""
    rng = Random(seed)  # noqa: S311  # to be the same at every run
    chosen: dict[str, None] = {}
    while len(chosen) < prefixes:
        chosen[str(rng.randrange(100, 10 ** rng.randint(4, 7)))] = None
    lines = ["prefix,destination,period,after_s,connect_fee,rate,per_s,increments"]
    for prefix in chosen:
        fee, rate = rng.randrange(20) / 100, rng.randrange(100, 9000)
        lines.append(f"{prefix},Place {prefix},peak,0,{fee:.2f},0.{rate:04d},60,{rng.choice(('60/60', '60/6', '1/1'))}")
        lines.append(f"{prefix},Place {prefix},off-peak,0,0,0.{rate // 2:04d},60,{rng.choice(('60/1', '1/1', '6/6'))}")
    return "\n".join(lines) + "\n", list(chosen)


def account_number(index: int) -> str:
    """The number of an account."""
    return f"40{index:08d}"


@dataclass(frozen=True, slots=True)
class Site:
    """Files of a fresh site."""

    directory: Path
    accounts: int
    """There are as many lines."""
    consolidated: int = 0
    """Of the first accounts, how many have many lines, at the cost of those that come after."""
    pages: bool = False
    """Whether pages are served."""

    @property
    def config(self) -> Path:
        return self.directory / "bench.toml"

    @property
    def store(self) -> Path:
        return self.directory / "bench.db"

    @property
    def prefixes(self) -> Path:
        return self.directory / "prefixes.txt"

    def owner(self, line: int) -> int:
        """The index of the account that a line belongs to."""
        return line // LINES_OF_CONSOLIDATED if line < self.consolidated * LINES_OF_CONSOLIDATED else line

    def provision(self, prefixes: int) -> None:
        """Write the files and import them."""
        self.config.write_text(_CONFIG + (_WEB if self.pages else ""))
        (self.directory / "tariff.toml").write_text(TARIFF)
        text, chosen = deck(prefixes)
        (self.directory / "bench.csv").write_text(text)
        self.prefixes.write_text("\n".join(chosen) + "\n")
        accounts = ["account,name,email,currency,timezone,credit_limit,tariff,agent,cycle_day"]
        lines = ["line,account,provider,service,switch"]
        for index in range(self.accounts):
            number = account_number(index)
            accounts.append(f"{number},Customer {index},,USD,America/New_York,2500,bench,,{index % 28 + 1}")
            lines.append(f"{line_number(index)},{account_number(self.owner(index))},Atlantic Telecom,long-distance,")
        (self.directory / "accounts.csv").write_text("\n".join(accounts) + "\n")
        (self.directory / "lines.csv").write_text("\n".join(lines) + "\n")
        for kind, file in (("accounts", "accounts.csv"), ("lines", "lines.csv"), ("tariff", "tariff.toml")):
            self.import_file(kind, file)

    def import_file(self, kind: str, file: str) -> None:
        """Import one of the site's files by the command for it."""
        done = subprocess.run(
            [*_PROGRAM, "import", kind, str(self.directory / file), "--config", str(self.config)],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise Failure(f"the bench's own {kind} could not be imported: {done.stderr.strip()}")


class RunningDaemon:
    """The daemon as a process of its own."""

    def __init__(self, process: "subprocess.Popen[bytes]", listening: dict[str, str]) -> None:
        self._process = process
        self.listening = listening

    @property
    def feed_url(self) -> str:
        return f"http://{self.listening['feeds.pops']}"

    def metrics(self) -> dict[str, float]:
        """The samples of /metrics."""
        with urllib.request.urlopen(f"http://{self.listening['ops']}/metrics") as answer:  # our own
            text = answer.read().decode()
        return {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        }

    def cpu_s(self) -> float:
        """User and system time so far, all threads of all its processes."""
        ticks = 0
        for pid in self._pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def peak_rss_mb(self) -> float:
        """The most memory that its processes ever had, each, added up."""
        return self._memory_mb("VmHWM")

    def rss_mb(self) -> float:
        """The memory that its processes have now, each, added up."""
        return self._memory_mb("VmRSS")

    def _memory_mb(self, what: str) -> float:
        kilobytes = 0
        for pid in self._pids():
            status = Path(f"/proc/{pid}/status").read_text()
            (line,) = (line for line in status.splitlines() if line.startswith(what))
            kilobytes += int(line.split()[1])
        return kilobytes / 1024

    def _pids(self) -> list[int]:
        own = self._process.pid
        return [own, *map(int, Path(f"/proc/{own}/task/{own}/children").read_text().split())]

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)


@contextlib.contextmanager
def daemon(site: Site) -> Iterator[RunningDaemon]:
    """Start the daemon on a site; it is ended with the block."""
    path = site.directory / "daemon.log"
    with path.open("w") as log:
        process = subprocess.Popen([*_PROGRAM, "serve", "--config", str(site.config)], stderr=log)
        try:
            yield RunningDaemon(process, _ready(process, path))
        finally:
            process.kill()
            process.wait()


def _ready(process: "subprocess.Popen[bytes]", log: Path) -> dict[str, str]:
    while True:
        over = process.poll() is not None
        for line in log.read_text().splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if entry.get("message") == "ready":
                    listening: dict[str, str] = entry["listening"]
                    return listening
        if over:
            raise Failure(f"the daemon did not start: {log.read_text().strip()[-1000:]}")
        time.sleep(_LOOK_EVERY_S)
