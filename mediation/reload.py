"""SIGHUP: the configuration is read again. What can take effect without a restart does, and the log says of every
difference which it is."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Final

from mediation.config import Config, ConfigError, Listen, PopFeed, Tls, listeners
from mediation.config.tables import Unfit, specs
from mediation.config.words import dotted
from mediation.sd_notify import READY, ServiceManager
from rating.dial_plan import DialPlan

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """One key, or one table, that differs. Never its values: they may be secrets."""

    key: str
    """As TOML writes it: `feeds.pops.sources.pop-nyc.token`."""
    how: str
    """changed, added or removed"""


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two configurations."""

    reloadable: tuple[Change, ...] = ()
    """Takes effect at once."""
    needs_restart: tuple[Change, ...] = ()


def compare(old: Config, new: Config) -> Changes:
    """What has become different, in the order of the sections."""
    found = list(_differences(old, new, ()))
    pops = {feed.name for feed in old.pop_feeds} & {feed.name for feed in new.pop_feeds}
    changes = [(Change(dotted(path), how), _is_reloadable(path, pops)) for path, how in found]
    return Changes(tuple(c for c, at_once in changes if at_once), tuple(c for c, at_once in changes if not at_once))


def in_effect(old: Config, new: Config) -> Config:
    """What a daemon that was started with `old` runs by, once it has been told of `new`."""
    now = {feed.name: feed for feed in new.feeds}
    mixed = []
    for feed in old.feeds:
        there = now.get(feed.name)
        if isinstance(feed, PopFeed) and isinstance(there, PopFeed):
            feed = replace(feed, sources=there.sources)
        mixed.append(feed)
    return replace(old, rating=new.rating, feeds=tuple(mixed), dial_plans=new.dial_plans)


_Path = tuple[str, ...]


def _is_reloadable(path: _Path, pops: set[str]) -> bool:
    if path[:3:2] == ("feeds", "sources"):
        return path[1] in pops
    return path[0] == "dial_plans" or path == ("rating", "default_tariff")


def _differences(old: Any, new: Any, path: _Path) -> Iterator[tuple[_Path, str]]:
    """The keys in which two sections of one type differ."""
    for spec in specs(type(old)):
        yield from _values(getattr(old, spec.field), getattr(new, spec.field), (*path, spec.key))


def _values(old: Any, new: Any, path: _Path) -> Iterator[tuple[_Path, str]]:
    if old == new:
        return
    if isinstance(old, Listen) and isinstance(new, Listen):
        yield from _listens(old, new, path)
    elif _is_section(old) and type(old) is type(new):
        yield from _differences(old, new, path)
    elif _are_named(old) and _are_named(new):
        was, is_ = ({each.name: each for each in value} for value in (old, new))
        for name in dict.fromkeys([*was, *is_]):
            yield from _values(was.get(name), is_.get(name), (*path, name))
    else:
        yield path, "added" if old is None else "removed" if new is None else "changed"


def _listens(old: Listen, new: Listen, path: _Path) -> Iterator[tuple[_Path, str]]:
    """A listener's address, and its companions in the same table."""
    if (old.host, old.port) != (new.host, new.port):
        yield path, "changed"
    for part, key in (("certificate", "tls_certificate"), ("key", "tls_key"), ("client_ca", "tls_client_ca")):
        yield from _values(getattr(old.tls, part, None), getattr(new.tls, part, None), (*path[:-1], key))


def _is_section(value: object) -> bool:
    return is_dataclass(value) and not isinstance(value, type) and bool(specs(type(value)))


def _are_named(value: object) -> bool:
    return isinstance(value, tuple) and all(
        is_dataclass(each) and "name" in {field.name for field in fields(each)} for each in value
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloadable:
    """What a reload changes in the running daemon."""

    sources: Callable[[PopFeed], Awaitable[None]]
    """Gives a running feed the sources and tokens of this section. Raises StoreError."""
    default_tariff: Callable[[str | None], Awaitable[None]]
    """Rates from now on by this tariff where no other is named."""
    dial_plans: Callable[[Mapping[str, DialPlan]], Awaitable[None]]
    """Reads from now on the numbers of these sources by these plans."""
    certificates: Mapping[str, ssl.SSLContext]
    """The contexts of the listeners that speak TLS, by their tables."""


class Reload:
    """Reads the configuration again, and makes what differs take effect as far as it can."""

    def __init__(
        self, config: Config, read: Callable[[], Config], parts: Reloadable, manager: ServiceManager | None = None
    ) -> None:
        """`read` raises ConfigError; `config` is what the daemon was started with."""
        self._config = config
        self._read = read
        self._parts = parts
        self._manager = manager or ServiceManager()

    async def run(self, asked: asyncio.Event) -> None:
        """Reload whenever `asked` is set, one at a time, for ever. Raises StoreError, when the store has failed."""
        while True:
            await asked.wait()
            asked.clear()
            self._manager.reloading()
            try:
                await self.reload()
            finally:
                self._manager.tell(READY)

    async def reload(self) -> Changes | None:
        """Once; None: the new configuration cannot be used, and the old one stays. Raises StoreError."""
        try:
            new = await asyncio.to_thread(self._read)
        except ConfigError as error:
            log.error("the configuration was not reloaded, and the old one holds: %s", error)
            return None
        changes = compare(self._config, new)
        await self._apply(new)
        self._config = in_effect(self._config, new)
        renewed = self._renew_certificates()
        for change in changes.reloadable:
            log.info("reloaded", extra={"key": change.key, "how": change.how})
        for table in renewed:
            log.info("certificate loaded again", extra={"table": table})
        for change in changes.needs_restart:
            log.warning("differs, and needs a restart", extra={"key": change.key, "how": change.how})
        counts = {"reloaded": len(changes.reloadable), "need_restart": len(changes.needs_restart)}
        log.info("configuration read again", extra=counts)
        return changes

    async def _apply(self, new: Config) -> None:
        running = {feed.name: feed for feed in self._config.pop_feeds}
        for feed in new.pop_feeds:
            was = running.get(feed.name)
            if was is not None and was.sources != feed.sources:
                await self._parts.sources(replace(was, sources=feed.sources))
        if self._config.plans != new.plans:
            await self._parts.dial_plans(new.plans)
        if self._config.rating.default_tariff != new.rating.default_tariff:
            await self._parts.default_tariff(new.rating.default_tariff)

    def _renew_certificates(self) -> list[str]:
        """Load the certificates again from the files that the daemon was started with: they are renewed in place. The
        tables whose listeners have theirs now; connections that are open keep the old one."""
        files = {table: listen.tls for table, _, listen in listeners(self._config)}
        done = []
        for table, context in self._parts.certificates.items():
            tls = files.get(table)
            if tls is not None and _load(context, tls, table):
                done.append(table)
        return done


def _load(context: ssl.SSLContext, tls: Tls, table: str) -> bool:
    try:
        tls.server_context()  # a certificate whose key does not fit would spoil the one in use
        context.load_cert_chain(tls.certificate, tls.key, password="")
    except (Unfit, OSError) as error:
        log.error("the certificate was not loaded again, and the old one holds: %s", error, extra={"table": table})
        return False
    return True
