"""Giving an order about suspended records from the command line, whether the daemon runs or not."""

import asyncio
import sys

import msgspec
from prometheus_client import CollectorRegistry

from mediation.config import Config
from mediation.daemon import wall_clock
from mediation.directory_builder import DirectoryBuilder
from mediation.failure import Failure
from mediation.formats.source_formats import SourceFormats
from mediation.pipeline.front import Front
from mediation.pipeline.metrics import PipelineMetrics
from mediation.pipeline.owner import StoreOwner
from mediation.pipeline.preparing import FrontHere
from mediation.pipeline.recycling import Recycled, Recycler
from mediation.retention import oldest_at
from mediation.schema import all_migrations
from mediation.writer_socket import ask_daemon
from mediation.writer_suspense import PATH, Answer, Order, carry_out
from rating.counters import Counters
from rating.store.port import Store
from rating.store.sqlite import open_store


def give(config: Config, order: Order) -> Answer:
    """What became of an order. Raises Failure for one that was refused, and StoreError."""
    told = ask_daemon(config.store.path, "POST", PATH, msgspec.json.encode(order))
    answer = asyncio.run(_alone(config, order)) if told is None else _understood(*told)
    if answer.refused is not None:
        raise Failure(answer.refused)
    return answer


def _understood(status: int, body: bytes) -> Answer:
    if status == 200:
        return msgspec.json.decode(body, type=Answer)
    raise Failure(f"the daemon refused ({status}): is it of another version? start it again, and look at its log")


async def _alone(config: Config, order: Order) -> Answer:
    """The daemon does not run: take the store, and do what it would do."""
    store = await open_store(config.store.path, all_migrations(), wall_clock())
    try:
        return await carry_out(await _recycler(config, store), order, _tell if sys.stderr.isatty() else None)
    finally:
        await store.close()


async def _recycler(config: Config, store: Store) -> Recycler:
    """The service on a store that this process owns. Nobody looks at its counters: the daemon's next start counts the
    new transactions, as those of a crash."""
    sources = await store.register_sources(())
    directory = DirectoryBuilder(config.rating.default_tariff).build(await store.provisioned())
    owner = StoreOwner(
        store, Counters(directory.accounts), PipelineMetrics(CollectorRegistry(), sources), max_queued=1, max_commit=1
    )
    formats = SourceFormats(config.plans)
    front = FrontHere(Front(directory, oldest_at(config.store.retention_months, wall_clock())), formats.parser)
    return Recycler(store, front, owner, wall_clock, sources, formats=formats)


def _tell(done: Recycled) -> None:
    """How far it is, for a person; a program that reads stderr is not bothered."""
    print(f"\r{done.tried} tried, {done.recycled} recycled \r", end="", file=sys.stderr, flush=True)
