"""The scripted story, each step of it observed and not assumed."""

import asyncio
from pathlib import Path
from typing import Final

from mediation.demo.feeding import STORY_CALLS, send, some
from mediation.demo.site import POPS, Say, demo_site
from rating.store.partitions import last_id, partitions, table_of
from rating.store.sqlite import connect_reader
from simulators.sip_switch import SIPSwitch

STEPS: Final = ("calls", "rated", "limit", "bar", "mail", "bill", "refused")
"""The contract's story; this version plays the first two."""


async def tell(directory: Path, say: Say) -> list[str]:
    """Play it; the steps that were observed, in order."""
    observed = []
    async with SIPSwitch().listening() as switch_url, demo_site(directory, say, switch_url) as site:
        pops = await asyncio.gather(*(send(site, name, some(lines, name)) for name, lines in site.shares()))
        taken = sum(pop.totals.accepted + pop.totals.suspended for pop in pops)
        if taken == STORY_CALLS * len(POPS):
            observed.append("calls")
            say(f"calls    {taken} call records were sent by {' and '.join(POPS)}, and acknowledged")
        rated = _rated(site.database)
        if rated == sum(pop.totals.accepted for pop in pops) > 0:
            observed.append("rated")
            say(f"rated    {rated} transactions are in the store, each with its charge")
    return observed


def _rated(database: Path) -> int:
    cx = connect_reader(database)
    try:
        counts = (cx.execute(f"SELECT count(*) FROM {table_of(month)}").fetchone()[0] for month in partitions(cx))  # noqa: S608  # names of our own
        return sum(counts) if last_id(cx) else 0
    finally:
        cx.close()
