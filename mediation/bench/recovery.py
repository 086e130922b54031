"""How quick acknowledgements are: as quick as before, or not yet."""

import json
import time
from datetime import datetime
from typing import Final

from mediation.bench.browser import Browser
from mediation.bench.site import TOKEN, RunningDaemon, Site
from mediation.failure import Failure
from simulators.load_records import LoadSpec, build_bodies, read_prefixes

_EVERY_S: Final = 0.05
_USED_TO: Final = 20
"""Acknowledgements that say how quick they are."""
_IN_A_ROW: Final = 5
"""As quick as before, and it is over."""
_SLACK: Final = 2.0
_LEAST_BOUND_S: Final = 0.02
"""Nobody notices less, and one sync of a disk may take it."""
_GIVE_UP_S: Final = 60.0
_RECORDS: Final = 10
_MOST: Final = 10_000
"""Times that something may be posted: more than there is time for."""
_SEED: Final = 4
_HTTP_OK: Final = 200


class Acknowledgements:
    """Posts a few records now and then."""

    def __init__(self, site: Site, running: RunningDaemon, now: datetime) -> None:
        self._feed = Browser(running.listening["feeds.pops"])
        prefixes = read_prefixes(site.prefixes.read_text())
        self._bodies = build_bodies(LoadSpec(_RECORDS * _MOST, _RECORDS, site.accounts, prefixes, _SEED, now))
        self._bound_s = 0.0
        self.accepted = 0
        """Records so far."""

    def be_used_to(self) -> None:
        """Learn how quick they are when all is well."""
        self._bound_s = max(_LEAST_BOUND_S, *(self._took_s() or 0.0 for _ in range(_USED_TO))) * _SLACK

    def recovered_s(self) -> float | None:
        """How long it takes from now until they are as quick as that again; None: too long."""
        began = time.perf_counter()
        quick_from: float | None = None
        in_a_row = 0
        while (at := time.perf_counter() - began) < _GIVE_UP_S:
            took_s = self._took_s()
            if took_s is None or took_s > self._bound_s:
                quick_from, in_a_row = None, 0
                continue
            quick_from, in_a_row = at if quick_from is None else quick_from, in_a_row + 1
            if in_a_row == _IN_A_ROW:
                return round(quick_from, 2)
        return None

    def close(self) -> None:
        """End the connection."""
        self._feed.close()

    def _took_s(self) -> float | None:
        """Seconds until a few records were acknowledged; None: they were refused."""
        time.sleep(_EVERY_S)
        body, _ = next(self._bodies)
        began = time.perf_counter()
        status, answer = self._feed.post("/v1/transactions", body, {"Authorization": f"Bearer {TOKEN}"})
        if status != _HTTP_OK:
            return None
        if json.loads(answer)["accepted"] != _RECORDS:
            raise Failure(f"not everything was accepted: {answer!r}")
        self.accepted += _RECORDS
        return time.perf_counter() - began
