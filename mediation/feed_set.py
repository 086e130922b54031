"""The feeds of a configuration: made, started, stopped in order, and how each stands."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from aiohttp import web

from access.radius.dictionary import Dictionary
from access.sessions import LiveSession, LiveSessions
from mediation.config import Address, Config, FilesFeed, HttpFeed, Listen, PopFeed, RadiusFeed
from mediation.feeds import files, http_posts, pop, radius
from mediation.feeds.connections import Runner
from mediation.feeds.status import FeedStatus, SourceStatus
from mediation.formats import is_whole_in
from mediation.pipeline.activity import SourceActivity
from mediation.pipeline.owner import StoreOwner
from mediation.pipeline.preparing import Preparer
from mediation.pipeline.sender import Clock, Sender
from rating.cdr import MICROS
from rating.dial_plan import Dialling
from rating.store.port import Store
from rating.store.positions import missing

GAPS_HOLD_US: Final = 10 * MICROS
"""Gaps are looked up at most once in so long: it takes a walk over all positions."""

Listening = Callable[[str, Listen, Runner], Awaitable[tuple[str, int]]]
"""Opens a listener of a configuration table; the address that it got."""


ListeningOn = Callable[[str, Listen, Callable[[str, int], Awaitable[tuple[str, int]]]], Awaitable[tuple[str, int]]]
"""The same for one that opens its socket itself."""


@dataclass(slots=True)
class _Listener:
    section: PopFeed | HttpFeed
    application: web.Application
    runner: Runner
    pop: pop.PopFeed | None


class FeedSet:
    """All feeds of one run of the daemon."""

    def __init__(
        self,
        config: Config,
        sources: Mapping[str, int],
        preparer: Preparer,
        owner: StoreOwner,
        store: Store,
        clock: Clock,
        activity: Mapping[int, SourceActivity],
        sessions: LiveSessions,
        began: Callable[[LiveSession], None],
        dialling: Callable[[str], Dialling | None],
    ) -> None:
        """`sources` are the numbers of all sources; `activity` is kept by the pipeline, `sessions` by accounting, and
        `began` is told of each that begins; `dialling` is the dial plan of a source."""
        self._sources = sources
        self._owner = owner
        self._store = store
        self._clock = clock
        self._preparer = preparer
        self._activity = activity
        self._listeners: list[_Listener] = []
        self._drops: list[tuple[FilesFeed, files.FilesFeed]] = []
        self._accounting: list[tuple[RadiusFeed, radius.AccountingFeed]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._sessions, self._began, self._dialling = sessions, began, dialling
        self._of_several_feeds = config.sources_of_several_feeds
        self._open = False
        self._gaps: tuple[int, dict[int, int]] = (-GAPS_HOLD_US, {})
        self._addresses: dict[str, str] = {}
        for section in config.feeds:
            if isinstance(section, PopFeed):
                self._add_pop(section)
            elif isinstance(section, HttpFeed):
                self._add_posts(section)
            elif isinstance(section, FilesFeed):
                self._add_files(section)
            elif isinstance(section, RadiusFeed):
                self._add_radius(section)

    def _sender(self, feed: str, source: str, format_name: str, zone: ZoneInfo | None) -> Sender:
        name = f"{format_name} {zone.key}" if zone is not None else format_name
        told = feed if source in self._of_several_feeds else None
        return Sender(source, self._sources[source], self._preparer, self._owner, self._clock, name, told)

    def _add_pop(self, section: PopFeed) -> None:
        feed = pop.PopFeed(
            {source.token: (source.name, self._sources[source.name]) for source in section.sources},
            lambda name, _number: self._sender(section.name, name, "ndjson", None),
            self._owner,
            self._store,
            max_body_bytes=section.max_body_bytes,
            read_timeout_s=section.read_timeout_s,
        )
        self._listeners.append(_Listener(section, feed.application, Runner(feed.application, feed.refusal), feed))

    def _add_posts(self, section: HttpFeed) -> None:
        feed = http_posts.HttpPostsFeed(
            section.path,
            self._sender(section.name, section.source, section.format, section.timezone),
            self._owner,
            max_body_bytes=section.max_body_bytes,
            read_timeout_s=section.read_timeout_s,
            token=section.token,
        )
        self._listeners.append(_Listener(section, feed.application, Runner(feed.application), None))

    def _add_files(self, section: FilesFeed) -> None:
        feed = files.FilesFeed(
            section.name,
            section.directory,
            self._sender(section.name, section.source, section.format, section.timezone),
            self._store,
            self._clock,
            settle_s=section.settle_s,
            torn_after_s=section.torn_after_s,
            is_whole=is_whole_in(section.format),
        )
        self._drops.append((section, feed))

    def _add_radius(self, section: RadiusFeed) -> None:
        dictionary = Dictionary("kamailio")
        of_source = Counter(client.source_name for client in section.clients)
        clients = [
            radius.AccountingClient(
                client.name,
                client.address,
                client.secret.encode(),
                self._sender(section.name, client.source_name, "ndjson", None),
                dictionary,
                shared=client.address.num_addresses > 1 or of_source[client.source_name] > 1,
                dialling=partial(self._dialling, client.source_name),
            )
            for client in section.clients
        ]
        feed = radius.AccountingFeed(section.name, clients, self._store, self._sessions, self._clock, began=self._began)
        self._accounting.append((section, feed))

    @property
    def pop_feeds(self) -> dict[str, pop.PopFeed]:
        """The feeds of POPs, by name: their tokens can be replaced while they run."""
        return {each.section.name: each.pop for each in self._listeners if each.pop is not None}

    def use_sources(self, section: PopFeed, numbers: Mapping[str, int]) -> None:
        """A running feed's sources and tokens from now on; the pipeline knows their numbers."""
        self._sources = {**self._sources, **numbers}
        for each in self._listeners:
            if each.pop is not None and each.section.name == section.name:
                each.section = section
                each.pop.replace_tokens({s.token: (s.name, numbers[s.name]) for s in section.sources})

    def answer_others(self, messages: pop.Messages) -> None:
        """Have the feeds of POPs take messages of people and programs that are no source, too."""
        for feed in self.pop_feeds.values():
            feed.answer_others(messages)

    async def start(
        self, stack: contextlib.AsyncExitStack, listen: Listening, listen_on: ListeningOn
    ) -> "list[asyncio.Task[None]]":
        """Take work. The tasks that must not end before `stop`."""
        for each in self._listeners:
            await each.runner.setup()
            stack.push_async_callback(each.runner.cleanup)
            address = await listen(f"feeds.{each.section.name}", each.section.listen, each.runner)
            self._addresses[each.section.name] = f"http://{address[0]}:{address[1]}"
        for radius_section, feed in self._accounting:
            host, port = await listen_on(f"feeds.{radius_section.name}", radius_section.listen, feed.open)
            self._addresses[radius_section.name] = str(Address(host, port))
        running = [(section.name, drop.run()) for section, drop in self._drops]
        running += [(section.name, feed.run()) for section, feed in self._accounting]
        self._tasks = [asyncio.create_task(run, name=f"feed {name}") for name, run in running]
        self._open = True
        return self._tasks

    async def stop(self) -> None:
        """Take no more; what was queued is still answered."""
        self._open = False
        for each in self._listeners:
            for site in list(each.runner.sites):
                await site.stop()
            if each.pop is not None:
                await each.pop.close_streams()
        for _, drop in self._drops:
            drop.stop()
        for _, feed in self._accounting:
            feed.stop()

    async def ended(self) -> None:
        """When the tasks have ended; what one of them raised was seen by who watches them."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def status(self) -> list[FeedStatus]:
        """How each feed stands, in the configuration's order by kind."""
        gaps = await self._gaps_by_source()
        return [*self._listening(gaps), *self._dropping(), *self._reporting()]

    def _listening(self, gaps: Mapping[int, int]) -> Iterator[FeedStatus]:
        for each in self._listeners:
            section = each.section
            names = [s.name for s in section.sources] if isinstance(section, PopFeed) else [section.source]
            sources = [self._source(name, section.quiet_after_s, gaps) for name in names]
            if each.pop is not None:
                for source in sources:
                    source.streams, source.connects = each.pop.streams_of(source.source)
            state = "open" if self._open else "closed"
            where = self._addresses.get(section.name, str(section.listen))
            yield FeedStatus(section.name, section.type, where, state, sources)

    def _dropping(self) -> Iterator[FeedStatus]:
        for section, feed in self._drops:
            stands = feed.status()
            notes = []
            if stands.waiting:
                notes.append(f"{stands.waiting} files wait")
            if stands.problem:
                notes.append(stands.problem)
            if stands.torn:
                notes.append(f"not whole yet: {', '.join(stands.torn[:3])}")
            if stands.failed:
                notes.append(f"{stands.failed} files could not be read: see {section.directory / 'failed'}")
            source = self._source(section.source, section.quiet_after_s, {})
            state = "open" if self._open else "closed"
            yield FeedStatus(section.name, section.type, str(section.directory), state, [source], notes)

    def _reporting(self) -> Iterator[FeedStatus]:
        for section, feed in self._accounting:
            names = dict.fromkeys(client.source_name for client in section.clients)
            sources = [self._source(name, section.quiet_after_s, {}) for name in names]
            state = "open" if self._open else "closed"
            where = self._addresses.get(section.name, str(section.listen))
            stands = feed.status()
            yield FeedStatus(section.name, section.type, where, state, sources, stands.notes(), stands.live)

    def _source(self, name: str, quiet_after_s: int, gaps: Mapping[int, int]) -> SourceStatus:
        number, now = self._sources[name], self._clock()
        activity = self._activity[number]
        if activity.last_arrived_at is None:
            state = "waiting"
        else:
            state = "silent" if now - activity.last_arrived_at > quiet_after_s * MICROS else "live"
        return SourceStatus(name, state, activity, activity.per_minute(now), gaps.get(number, 0))

    async def _gaps_by_source(self) -> dict[int, int]:
        looked_at, gaps = self._gaps
        now = self._clock()
        if not 0 <= now - looked_at < GAPS_HOLD_US:
            gaps = await self._store.read(missing)
            self._gaps = (now, gaps)
        return gaps
