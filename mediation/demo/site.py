"""The demo's site: a daemon on an embedded store, provisioned, with everything around it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from control.users import Role
from mediation.config import Listen, read_config
from mediation.daemon import Daemon
from mediation.demo.provisioning import PASSWORD, SWITCH, Login, people, provision
from simulators.population import Line, Subscriber, lines_of

__all__ = ["NAS_POP", "NAS_SECRET", "PASSWORD", "POPS", "DemoSite", "Say", "demo_site"]

POPS: Final = ("pop-nyc", "pop-chi")

NAS_POP: Final = POPS[1]
"""Whose calls a NAS reports too, as the same source."""
NAS_SECRET: Final = "of the nas"  # noqa: S105  # as the password: on loopback, for minutes
_RADIUS: Final = "feeds.radius"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DemoSite:
    """A site that is up."""

    config: Path
    population: tuple[Subscriber, ...]
    addresses: dict[str, str]
    """URLs by configuration table."""
    logins: tuple[Login, ...]
    tokens: dict[Role, str] = field(repr=False)

    @property
    def customer(self) -> Subscriber:
        """Whose story is told, and whose bills are shown."""
        return self.population[0]

    @property
    def accounting(self) -> tuple[str, int]:
        """Where a NAS reports to."""
        host, _, port = self.addresses[_RADIUS].removeprefix("http://").rpartition(":")
        return host, int(port)

    def shares(self, besides: str | None = None) -> list[tuple[str, list[Line]]]:
        """The lines that each POP serves; but for one, where it is named."""
        lines = [line for line in lines_of(self.population) if line.number != besides]
        return [(name, lines[index :: len(POPS)]) for index, name in enumerate(POPS)]


@contextlib.asynccontextmanager
async def demo_site(
    directory: Path, say: Say, *, switch_url: str, smtp: str, listen: Listen | None = None
) -> AsyncIterator[DemoSite]:
    """Provision, start the daemon, and stop it at the end. `switch_url` is where the lines' switch takes commands,
    `smtp` who takes mail."""
    population = people(datetime.now(UTC))
    config = directory / "tollkeeper.toml"
    config.write_text(_config(listen, switch_url, smtp))
    provisioned = await provision(directory / "tollkeeper.db", population, say)
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    daemon = Daemon(read_config(config))
    running = asyncio.create_task(daemon.run(stop, ready.set_result), name="daemon")
    try:
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            await running  # raises what kept it from starting
        addresses = {name: f"http://{host}:{port}" for name, (host, port) in ready.result().items()}
        yield DemoSite(config, population, addresses, provisioned.logins, provisioned.tokens)
    finally:
        stop.set()
        await asyncio.wait({running})
    running.result()


def _config(listen: Listen | None, switch_url: str, smtp: str) -> str:
    sources = "\n".join(f'[feeds.pops.sources.{name}]\ntoken = "{name}"' for name in POPS)
    return (
        '[store]\nurl = "sqlite:///tollkeeper.db"\n[ops]\nlisten = "127.0.0.1:0"\n'
        f'[web]\nlisten = "{listen or "127.0.0.1:0"}"\n'
        f"secure_cookies = {'false' if listen is None or listen.loopback else 'true'}\n"
        f'[mail]\nsmtp = "{smtp}"\nfrom = "billing@provider.example"\nprovider = "noc@provider.example"\n'
        '[control]\nbreaker = { orders = 200, per = "10m" }\n'
        f'[switches.{SWITCH}]\ndriver = "kamailio"\nurl = "{switch_url}"\n'
        f'[feeds.pops]\ntype = "pop"\nlisten = "127.0.0.1:0"\nquiet_after = "30s"\n{sources}\n'
        f'[{_RADIUS}]\ntype = "radius-accounting"\nlisten = "127.0.0.1:0"\n'
        f'[{_RADIUS}.clients.nas1]\naddress = "127.0.0.1"\nsource = "{NAS_POP}"\nsecret = "{NAS_SECRET}"\n'
    )
