"""`bench start`: how long a daemon takes to be ready on a large store, after kill -9."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mediation.bench.preload import preload_past
from mediation.bench.sending import Load, sending
from mediation.bench.site import Site, daemon

_STARTS: Final = 3


@dataclass(frozen=True, slots=True)
class StartOptions:
    """What the store holds."""

    rows: int
    records: int
    """Posted before it is killed: they have to be counted again."""
    accounts: int
    prefixes: int


def run_start(options: StartOptions, directory: Path) -> dict[str, Any]:
    """Measure in an empty directory: the median of several starts, each after kill -9."""
    site = Site(directory, options.accounts)
    site.provision(options.prefixes)
    now = datetime.now(UTC)
    preload_past(site, options.rows, now)
    with daemon(site) as running, sending(site, running, Load(options.records, 1, now)) as sender:
        sender.begin()
        sender.figures()
    took = []  # the end of each `daemon` is a kill -9
    for _ in range(_STARTS):
        began = time.perf_counter()
        with daemon(site):
            took.append(time.perf_counter() - began)
    return {
        "rows": options.rows + options.records,
        "ready_s": round(sorted(took)[_STARTS // 2], 2),
        "ready_each_s": [round(one, 2) for one in took],
        "counted_again": options.records,
        "store_gb": round(site.store.stat().st_size / 1e9, 2),
    }
