"""`bench detect`: from a record that is posted to its line's bar, which the NAS acknowledges, at half the speed that
there is."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mediation.bench.child import Child, child
from mediation.bench.detect_site import NAS, SECRET, DetectSite
from mediation.bench.distribution import histogram, pairs, percentiles_ms
from mediation.bench.others import Others
from mediation.bench.sending import Load, sending
from mediation.bench.site import TOKEN, RunningDaemon, Site, daemon
from mediation.failure import Failure

FIRINGS_PER_S: Final = 200
_BATCH: Final = 500
_IN_FLIGHT: Final = 20
_PLAIN_SHARE: Final = 5
"""For one part in so many of the time as much is posted without firings, before them and after."""
_LOOK_EVERY_S: Final = 0.2
_PATIENCE_S: Final = 60.0
"""After the last record."""
_LINGER_S: Final = 2.0
"""Whoever is barred once too often is so within it."""


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """How much."""

    firings: int
    records: int
    """To measure the capacity by."""
    accounts: int
    """That nothing happens to."""
    prefixes: int
    seconds: int | None = None
    """To spread the firings over; None: so that there are 200 a second."""


def run_detect(options: DetectOptions, directory: Path) -> dict[str, Any]:
    """Measure in an empty directory; the contract's figures, and others.

    Raises Failure if records are refused, or unless each of the lines that crossed its limit was barred once, and no
    other.
    """
    site = DetectSite(Site(directory, options.accounts), options.firings)
    now = datetime.now(UTC)
    with ExitStack() as stack:
        arguments = ("--secret", SECRET, "--name", NAS, "--lines", site.marked, "--first-line", site.first_marked)
        nas = stack.enter_context(child("simulators.nas_stopwatch", arguments))
        site.provision(options.prefixes, nas.hear()["coa"])
        running = stack.enter_context(daemon(site.site))
        nas.ask(accounting=running.listening["feeds.radius"], called=site.called())
        capacity, _ = _posted(site.site, running, Load(options.records, 1, now))
        rate = max(1, capacity // 2)
        seconds = options.seconds or max(1, options.firings // FIRINGS_PER_S)
        # What the records take is measured at the same pace: in a hurry more of them share a transaction, and each
        # takes less. And before and after: the store grows, and the machine has moods.
        plain = Load(rate * max(1, seconds // _PLAIN_SHARE), 3, now, rate=rate)
        _, before_s = _posted(site.site, running, plain)
        run = _run(rate * seconds, rate, site, running, nas, now)
        _, after_s = _posted(site.site, running, replace(plain, seed=4))
        running.stop()
    site.check_orders()
    latencies = latencies_s(options.firings, run.posted_at_s, run.noted)
    load = run.load
    return {
        "firings": options.firings,
        **percentiles_ms(latencies),
        "capacity_per_s": capacity,
        "ingest_per_s": round(load["accepted"] / load["seconds"]),
        "ack_p99_ms": load["ack_p99_ms"],
        "cpu_us_per_firing": round((run.cpu_s - (before_s + after_s) / 2 * load["accepted"]) / options.firings * 1e6),
        "cpu_us_per_record": round((before_s + after_s) / 2 * 1e6, 1),
        "others_cores": run.others_cores,
        "histogram": histogram(latencies),
    }


@dataclass(frozen=True, slots=True)
class _Run:
    """What came of the load with its firings."""

    load: dict[str, Any]
    posted_at_s: dict[int, list[float]]
    noted: dict[str, Any]
    cpu_s: float
    """Of the daemon."""
    others_cores: float


def _posted(site: Site, running: RunningDaemon, load: Load) -> tuple[int, float]:
    """Records a second without any firing, and the daemon's processor time for one."""
    with sending(site, running, load) as sender:
        before_s = running.cpu_s()
        sender.begin()
        figures = sender.figures()
    cpu_s = running.cpu_s() - before_s
    return round(load.records / float(figures["seconds"])), cpu_s / load.records


def _run(records: int, rate: int, site: DetectSite, running: RunningDaemon, nas: Child, now: datetime) -> _Run:
    """Post at this rate, and wait until everybody is barred. Raises Failure if that does not come to pass."""
    arguments = (
        "--url", running.feed_url, "--token", TOKEN, "--records", records, "--batch", _BATCH,
        "--in-flight", _IN_FLIGHT, "--lines-count", site.site.accounts, "--prefixes", site.site.prefixes,
        "--seed", 2, "--now", now.isoformat(), "--rate", rate,
        "--marked", site.marked, "--marked-from", site.first_marked,
    )  # fmt: skip
    with child("simulators.load", arguments) as load:
        load.hear()
        others = Others(running)
        before_s = running.cpu_s()
        figures = load.ask()
    if figures["errors"] or figures["accepted"] != records + site.marked:
        raise Failure(f"not everything was accepted: { {**figures, 'marked_at_s': '…'} }")
    deadline = time.monotonic() + _PATIENCE_S
    while (barred := nas.ask()["barred"]) < site.marked:
        if time.monotonic() > deadline:
            raise Failure(f"{barred} of {site.marked} lines were barred within {_PATIENCE_S:.0f} s of the last record")
        time.sleep(_LOOK_EVERY_S)
    time.sleep(_LINGER_S)
    cpu_s = running.cpu_s() - before_s
    noted = nas.conclude()
    others_cores = others.cores(figures["cpu_s"] + noted["cpu_s"])
    return _Run(figures, pairs(figures["marked_at_s"]), noted, cpu_s, others_cores)


def latencies_s(firings: int, posted_at_s: Mapping[int, list[float]], noted: Mapping[str, Any]) -> list[float]:
    """From each marked record's post to the bar of its line. Raises Failure unless each was barred once."""
    barred_at_s = pairs(noted["acknowledged_at_s"])
    if twice := [index for index, instants in barred_at_s.items() if len(instants) > 1]:
        raise Failure(f"{len(twice)} lines were barred more than once")
    if noted["strangers"]:
        raise Failure(f"the NAS was told {noted['strangers']} times to end a session that is not live")
    if barred_at_s.keys() != set(range(firings)):
        raise Failure(f"{len(barred_at_s)} lines were barred, and should have been {firings}")
    return [barred_at_s[index][0] - posted_at_s[index][0] for index in range(firings)]
