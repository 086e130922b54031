"""What a service manager asks of the running daemon: signs of life, and to read its configuration again."""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping

from mediation.assembly import Parts
from mediation.bill_schedule import BillSchedule
from mediation.config import Config, PopFeed, read_config
from mediation.reload import Reload, Reloadable
from mediation.retention import RetentionSchedule
from mediation.sd_notify import ServiceManager
from mediation.watchdog import Watchdog, WriterWatch
from rating.dial_plan import DialPlan


def supervise(
    config: Config,
    parts: Parts,
    manager: ServiceManager,
    certificates: Mapping[str, ssl.SSLContext],
    reload: asyncio.Event,
    lives: Callable[[], bool],
    clock: Callable[[], int],
) -> "list[asyncio.Task[None]]":
    """The tasks, which run until they are cancelled. One that ends by itself says that the store has failed. `reload`
    asks for the configuration to be read again; `lives`: whether the store's owner runs; `clock` tells µs UTC."""
    store, owner = parts.store, parts.owner

    async def use_sources(section: PopFeed) -> None:
        numbers = await store.register_sources([source.name for source in section.sources])
        parts.metrics.know(numbers)
        parts.feeds.use_sources(section, numbers)

    async def use_plans(plans: Mapping[str, DialPlan]) -> None:
        parts.recycler.formats.use_plans(plans)
        await parts.fronts.follow_plans()

    reloadable = Reloadable(
        sources=use_sources,
        default_tariff=parts.provisions.use_default_tariff,
        dial_plans=use_plans,
        certificates=certificates,
    )
    reloads = Reload(config, lambda: read_config(config.file), reloadable, manager)
    tasks = [asyncio.create_task(reloads.run(reload), name="reloads")]
    tasks.append(asyncio.create_task(parts.ordered_runs.run(), name="ordered bill runs"))
    if config.billing is not None and config.billing.scheduled:
        schedule = BillSchedule(
            config.file, lambda: parts.front.directory.accounts.values(), config.billing.after_s, clock
        )
        tasks.append(asyncio.create_task(schedule.run(), name="bill schedule"))
    if config.store.retention_months:

        async def keep_from(oldest: int) -> None:
            parts.front.oldest_at = oldest
            await parts.fronts.keep_from(oldest)

        retention = RetentionSchedule(config.file, store, config.store.retention_months, keep_from, clock)
        tasks.append(asyncio.create_task(retention.run(), name="retention"))
    if manager.watchdog_us:
        watch = WriterWatch(
            lives=lives,
            queued=lambda: owner.queued,
            committed=lambda: owner.commits,
            pass_through=lambda: store.transact(lambda _: None),
            clock=time.monotonic,
        )

        def status() -> str:
            return f"{owner.queued} records queued, last transaction {store.last_id}"

        watchdog = Watchdog(manager, manager.watchdog_us, watch.works, status)
        tasks.append(asyncio.create_task(watchdog.run(), name="watchdog"))
    return tasks
