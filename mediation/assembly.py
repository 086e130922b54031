"""The parts of a daemon, made of a configuration and an open store, each handed what it needs."""

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from control.enrolment import Enrolments
from control.payments.service import Payments
from control.users import Users
from mediation.acting import Acting, acting_on
from mediation.config import Config, RadiusFeed
from mediation.directory_builder import DirectoryBuilder
from mediation.feed_set import FeedSet
from mediation.formats.source_formats import SourceFormats
from mediation.fronts import Fronts
from mediation.ordered_runs import OrderedRuns
from mediation.pipeline.front import Front
from mediation.pipeline.metrics import PipelineMetrics
from mediation.pipeline.owner import StoreOwner
from mediation.pipeline.preparing import FrontHere
from mediation.pipeline.recycling import Recycler
from mediation.provisions import Provisions, load_counters
from mediation.retention import oldest_at
from rating.store.readers import open_readers
from rating.store.sqlite import SqliteStore
from web.application import ControlPlane
from web.messages import Messages
from web.site import Site

log: Final = logging.getLogger(__name__)

GAUGES: Final = {
    "tollkeeper_queued_records": "Records waiting for their commit",
    "tollkeeper_counters": "Counters in memory",
    "tollkeeper_last_transaction": "The greatest transaction id",
}


@dataclass(frozen=True, slots=True)
class Parts:
    """What a running daemon consists of."""

    store: SqliteStore
    front: Front
    fronts: Fronts
    owner: StoreOwner
    provisions: Provisions
    feeds: FeedSet
    users: Users
    recycler: Recycler
    metrics: PipelineMetrics
    acting: Acting
    enrolments: Enrolments
    payments: Payments
    ordered_runs: OrderedRuns


def fronts_of(config: Config, clock: Callable[[], int]) -> Fronts:
    """The processes in front of the seam, none of which has been started."""
    oldest = oldest_at(config.store.retention_months, clock())
    return Fronts(config.store.path, oldest, SourceFormats(config.plans))


async def assemble(
    config: Config, store: SqliteStore, fronts: Fronts, clock: Callable[[], int], registry: CollectorRegistry
) -> Parts:
    """The parts on both sides of the seam, the feeds in front of them, and who works on what they hold."""
    sources = await store.register_sources(config.sources)
    builder = DirectoryBuilder(config.rating.default_tariff, guides=not config.rating.processes)
    directory = builder.build(await store.provisioned(with_lines=builder.guides))
    counters = await load_counters(store, directory.accounts)
    front = Front(directory, fronts.oldest_at)
    formats = fronts.formats
    preparer = fronts if config.rating.processes else FrontHere(front, formats.parser)
    acting = await acting_on(config, store, counters, front, clock)
    clients = (client for feed in config.feeds if isinstance(feed, RadiusFeed) for client in feed.clients)
    accounted = {sources[client.source_name]: client.source_name for client in clients}
    metrics = PipelineMetrics(registry, sources)
    owner = StoreOwner(
        store,
        counters,
        metrics,
        max_queued=max((feed.max_queue_records for feed in config.pop_feeds), default=50_000),
        max_commit=config.store.commit_records,
        watch=lambda cx, rows: acting.watch(cx, rows, clock(), accounted),
        acted=acting.acted,
    )
    values: tuple[Callable[[], float], ...] = (lambda: owner.queued, lambda: len(counters), lambda: store.last_id)
    for (name, help_text), value in zip(GAUGES.items(), values, strict=True):
        Gauge(name, help_text, registry=registry).set_function(value)
    log.info(
        "store open",
        extra={
            "path": str(config.store.path),
            "accounts": len(directory.accounts),
            "lines": directory.numbers,
            "tariffs": len(directory.tariffs),
            "last_transaction": store.last_id,
        },
    )
    feeds = FeedSet(
        config, sources, preparer, owner, store, clock, metrics.activity, acting.sessions, acting.began,
        formats.dialling,
    )  # fmt: skip
    return Parts(
        store,
        front,
        fronts,
        owner,
        Provisions(store, builder, front, owner, clock, acting.room.follow, fronts.follow),
        feeds,
        await Users.load(store, clock),
        Recycler(store, preparer, owner, clock, sources, formats=formats),
        metrics,
        acting,
        await Enrolments.load(store, clock, acting.wake),
        Payments(store, acting.room.ledger, clock, acting.acted),
        OrderedRuns(config.file, store, clock),
    )


async def control_plane(
    config: Config, parts: Parts, clock: Callable[[], int], stack: contextlib.AsyncExitStack
) -> ControlPlane:
    """The pages and the API, with readers of their own; without [web] only the searches that come by message."""
    readers = await stack.enter_async_context(open_readers(config.store.path))
    site = Site(
        readers=readers,
        users=parts.users,
        owner=parts.owner,
        front=parts.front,
        recycler=parts.recycler,
        room=parts.acting.room,
        exposure=parts.acting.exposure,
        feeds=parts.feeds.status,
        clock=clock,
        secure_cookies=config.web is None or config.web.secure_cookies,
        version=version("tollkeeper"),
        enrolments=parts.enrolments,
        payments=parts.payments,
    )
    parts.feeds.answer_others(Messages(site, parts.ordered_runs.order).taker)
    return ControlPlane(site)
