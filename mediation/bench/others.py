"""How much of the machine others take during a measurement: beside them, a slow answer says little."""

import os
import time
from pathlib import Path

from mediation.bench.site import RunningDaemon


class Others:
    """Watches from when it is made."""

    def __init__(self, running: RunningDaemon) -> None:
        self._running = running
        self._began = time.perf_counter()
        self._began_s = self._not_ours_s()

    def cores(self, ours_s: float) -> float:
        """Cores that others kept busy since, on an average; `ours_s` is what other processes of ours took."""
        took_s = self._not_ours_s() - self._began_s - ours_s
        return round(max(0.0, took_s) / (time.perf_counter() - self._began), 2)

    def _not_ours_s(self) -> float:
        """Processor time of everything but the daemon and this process, so far."""
        user, nice, system, _idle, _wait, irq, soft, steal, *_ = map(
            int, Path("/proc/stat").read_text().splitlines()[0].split()[1:]
        )
        own = os.times()
        busy_s = (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")
        return busy_s - self._running.cpu_s() - own.user - own.system
