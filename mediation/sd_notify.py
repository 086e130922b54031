"""What the service manager is told (sd_notify(3)): one datagram a message, to the socket that it names.

The library `sdnotify` has not been kept since 2017 and lacks most of this; the protocol is a page.
"""

import logging
import os
import socket
import time
from collections.abc import Mapping
from typing import Final

log: Final = logging.getLogger(__name__)

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
WATCHDOG: Final = "WATCHDOG=1"


class ServiceManager:
    """Sends to the manager; without one it sends nothing, and nobody needs to ask."""

    def __init__(self, address: str = "", watchdog_us: int = 0) -> None:
        """`address`: a path, or an abstract name after `@`; empty: nobody listens. `watchdog_us`: it wants a sign of
        life at least so often; 0: never."""
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_us = watchdog_us

    def tell(self, *assignments: str) -> None:
        """Send assignments such as `READY=1`; their values are one line each."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)  # a manager that does not read holds up nothing here
                sender.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            log.warning("the service manager was not told", extra={"told": assignments[0], "reason": str(error)})

    def status(self, text: str) -> None:
        """A line for people, shown by `systemctl status`."""
        self.tell(f"STATUS={' '.join(text.split())}")

    def reloading(self) -> None:
        """The configuration is being read again; `READY=1` ends it."""
        # CLOCK_MONOTONIC, as the manager reads it: it tells an answer to this reload from one to an earlier.
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def service_manager(environment: Mapping[str, str] = os.environ) -> ServiceManager:
    """The manager that `$NOTIFY_SOCKET` names; one that this version cannot reach, or none, is told nothing."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")) or len(address) < 2:  # vsock: addresses are for virtual machines
        return ServiceManager()
    interval, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    ours = not process or process == str(os.getpid())  # sd_watchdog_enabled(3): it may be meant for another process
    return ServiceManager(address, int(interval) if ours and interval.isascii() and interval.isdigit() else 0)
