"""kill -9 at a chosen moment, from outside the program: the moments are those that its peers, its clients and whoever
looks into its store see, and each has a name.

    htable.sets 1 arrives      the account's first command of this kind has come, and nothing was done yet
    htable.sets 1 answered     its answer was written
    any htable.sets 2 arrives  the second one of whatever account
    SMTP RCPT 1 arrives        likewise with the mail server
    record posted              the request is sent, its answer not read; then `record acknowledged`
    bar is sent                the store says so; likewise `alert is sending`, `payment is stored`
"""

import asyncio
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

LOOK_EVERY_S: Final = 0.001


class Deed(Enum):
    """What a peer does with what it is asked."""

    DONE = "done"
    LOST = "lost"
    """Nothing, and it says nothing."""
    REFUSED = "refused"
    UNSAID = "unsaid"
    """It is done, and the answer is lost."""


@dataclass(frozen=True, slots=True)
class Step:
    """One way in which a round goes: when the daemon is killed, and what happens until then."""

    kill_at: tuple[str, ...]
    """The moments; each ends one daemon."""
    switch: str = "kam1"
    pay_at: str | None = None
    """When the account pays. If it is an arrival, the peer does nothing until the payment was acknowledged, or the
    daemon killed."""
    hold: str | None = None
    """An arrival after which the peer does nothing until the daemon was killed."""
    faults: Mapping[str, Deed] = field(default_factory=dict)
    """What goes wrong, by name and number: `htable.sets 1`."""
    is_lost: bool = False
    """What had arrived and was not done when the daemon was killed comes to nothing; otherwise it is done then."""
    after_ms: int = 0
    """So long after the moment it is killed."""
    slow_ms: int = 0
    """Every answer takes so long."""
    in_call: bool = False
    """The line is calling at Kamailio."""
    crowded: bool = False
    """As many others as a switch has room for are under way before the account's own order."""
    doubtful: int | None = None
    """How many alerts have an unknown end; None: as many as kills, at most."""
    mails: int | None = None
    """How many the account gets; None: as many as the outbox says."""

    @property
    def name(self) -> str:
        """For the log, and the message of a round that fails."""
        words = [f"{self.switch}:", ", then ".join(self.kill_at)]
        words += [f"+{self.after_ms} ms"] * (self.after_ms > 0)
        words += [f"[pays when {self.pay_at}]"] * (self.pay_at is not None)
        words += [f"[held: {self.hold}]"] * (self.hold is not None)
        words += [f"[{what}: {deed.value}]" for what, deed in self.faults.items()]
        flags = {"lost": self.is_lost, "slow": self.slow_ms, "in a call": self.in_call, "crowded": self.crowded}
        return " ".join(words + [f"[{flag}]" for flag, is_set in flags.items() if is_set])


class Moments:
    """The moments of one round, told from any thread. `line` is the account's; `crowd` are lines whose requests wait
    for the first kill; `jitter_ms` is added to every delay."""

    def __init__(self, step: Step, line: str, *, crowd: Collection[str] = (), jitter_ms: float = 0.0) -> None:
        self.step = step
        self.line, self._crowd = line, frozenset(crowd)
        self.kill: Callable[[], None] = _kill_nobody
        self.kills = 0
        self.log: list[str] = []
        self.to_pay, self.paid = threading.Event(), threading.Event()
        self._aims = list(step.kill_at)
        self._killed = threading.Event()
        self._after_s = (step.after_ms + jitter_ms) / 1000 if step.after_ms or jitter_ms else 0.0
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def is_killed(self) -> bool:
        """Whether the daemon was killed, and none was started since."""
        return self._killed.is_set()

    @property
    def has_aims(self) -> bool:
        """Whether a daemon is still to be killed."""
        return self.kills < len(self.step.kill_at)

    def begin(self, kill: Callable[[], None]) -> None:
        """A daemon was started."""
        self.kill = kill
        self._killed.clear()

    def give_up(self) -> None:
        """The round came to nothing: nobody waits any longer."""
        self._aims.clear()
        self.kills += 1

    def wait(self, seconds: float) -> None:
        """Until the daemon was killed, at most."""
        self._killed.wait(seconds)

    def reached(self, what: str, *, later: bool = False) -> bool:
        """A moment has come; whether the daemon was killed for it. `later`: the caller has no time to wait for it."""
        with self._lock:
            self.log.append(what)
            if what == self.step.pay_at:
                self.to_pay.set()
            if self._killed.is_set() or self._aims[:1] != [what]:
                return False
            self._aims.pop(0)
            is_late = self._after_s > 0 and not what.endswith("arrives")
            if is_late and later:
                threading.Timer(self._after_s, self._kill).start()
                return False
            if is_late:
                time.sleep(self._after_s)
            self._kill()
        return True

    def asked(self, what: str, line: str | None) -> str | None:
        """Something was asked for a line (None: nobody knows yet for whom): its name with its number, if it is the
        account's."""
        with self._lock:
            self._counts[f"any {what}"] += 1
            number = self._counts[f"any {what}"]
            if line in (self.line, None):
                self._counts[what] += 1
        self.reached(f"any {what} {number} arrives")
        return f"{what} {self._counts[what]}" if line in (self.line, None) else None

    def arrived(self, name: str | None) -> Deed:
        """What is to be done with what was asked, at once."""
        if name is None:
            return Deed.DONE
        if self.reached(f"{name} arrives"):
            return Deed.LOST if self.step.is_lost else Deed.DONE
        return self.step.faults.get(name, Deed.DONE)

    def is_held(self, name: str | None) -> bool:
        """Whether a peer is to wait before it does what was asked."""
        return name is not None and not self.kills and f"{name} arrives" in (self.step.hold, self.step.pay_at)

    async def arrives(self, name: str | None, line: str | None) -> Deed:
        """The same, when it is time to do it."""
        kills = self.kills
        deed = self.arrived(name)
        if self.step.slow_ms:
            await asyncio.sleep(self.step.slow_ms / 1000)
        waits_for_payment = self.step.pay_at is not None and self.step.hold is None
        while self.kills == kills and (
            (self.is_held(name) and not (waits_for_payment and self.paid.is_set()))
            or (line in self._crowd and not kills)
        ):
            await asyncio.sleep(LOOK_EVERY_S)
        if name is not None and self.kills > kills and self.step.is_lost:
            return Deed.LOST
        return deed

    def _kill(self) -> None:
        self.kill()
        self.kills += 1
        self._killed.set()


def _kill_nobody() -> None:
    raise AssertionError("there is no daemon to be killed")


class StoreWatch:
    """Looks into the store all the time, and tells what it says of an account."""

    def __init__(self, store: Path, account: str, moments: Moments) -> None:
        self._store, self._account, self._moments = store, account, moments
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="the store", daemon=True)

    def __enter__(self) -> "StoreWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        told = set[str]()
        with closing(sqlite3.connect(f"file:{self._store}?mode=ro", uri=True)) as cx:
            while not self._over.wait(LOOK_EVERY_S):
                for what in self._said(cx) - told:
                    told.add(what)
                    self._moments.reached(what)

    def _said(self, cx: sqlite3.Connection) -> set[str]:
        rows = cx.execute(
            "SELECT action || ' is ' || state FROM access_orders WHERE account = ?1"
            " UNION ALL SELECT 'alert is ' || state FROM alerts WHERE account = ?1"
            " UNION ALL SELECT 'payment is stored' FROM ledger_entries WHERE account = ?1",
            (self._account,),
        )
        return {what for (what,) in rows}


class Scene:
    """The moments of the round that is being played."""

    def __init__(self) -> None:
        self.moments = NOTHING


NOTHING: Final = Moments(Step(kill_at=()), "")
"""Before the first round: nothing is aimed at."""
