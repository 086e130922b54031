"""Natural keys beside a dictionary: through commits, rollbacks, restarts, moves, filters begun anew, and months that
are retired, a key is taken by whom it was given, and by nobody twice."""

import sqlite3
from collections.abc import Iterator
from itertools import count
from random import Random
from typing import Any, Final

import numpy as np
import pytest

from rating.cdr import MICROS
from rating.store import key_filter, month_keys, natural_keys
from rating.store.batch import COLUMN, COLUMNS, CORRECTION_KEY, Row
from rating.store.migrations import migrate, own_migrations
from rating.store.natural_keys import NaturalKeys
from rating.store.partitions import create_partition, keys_table_of, table_of

BEGINS: Final = {202610: 1_790_812_800, 202611: 1_793_491_200, 210602: (1 << 32) - 40_000}
"""A second of each month; in the last one the seconds of a key begin at 0 again."""
TEXTS: Final = ("record_id", "calling", "called", "line", "account", "provider", "service", "type")
HOUR_S: Final = 4_096

Known = dict[tuple[int, str, int], int]
"""Transactions by month, record id and start."""


def a_row(month: int, record_id: str, start_at: int, key: int) -> Row:
    values = dict.fromkeys(COLUMNS, 0) | dict.fromkeys(TEXTS, "")
    values |= {"source": 1, "record_id": record_id, "start_at": start_at, "key": key}
    assert month in BEGINS
    return list(values.values())


class Store:
    """The tables of a store, its keys, and what they should say."""

    def __init__(self, random: Random, hashes: int) -> None:
        """`hashes`: as many different ones there are in a second; with few of them two keys are often one number."""
        self.random, self.hashes = random, hashes
        self.cx = sqlite3.connect(":memory:", isolation_level=None)
        migrate(self.cx, own_migrations(), 0)
        self.months: set[int] = set()
        self.known: Known = {}
        self.next_id = 1
        self.restart()

    def key_of(self, source: int, record_id: str, start_at: int) -> int:
        return (start_at // MICROS & 0xFFFF_FFFF) << 31 | Random(f"{source} {record_id} {start_at}").randrange(
            self.hashes
        )

    def keys_after(self, source: int, record_id: str, start_at: int) -> Iterator[int]:
        return count(self.key_of(source, f"{record_id} again", start_at))

    def restart(self) -> None:
        self.keys = NaturalKeys()
        self.cx.execute("BEGIN")
        self.keys.load(self.cx, sorted(self.months))
        self.cx.execute("COMMIT")
        self.keys.committed()

    def found(self, month: int, record_id: str, start_at: int) -> int | None:
        there = self.keys.find(self.cx, month, 1, record_id, start_at)
        return None if there is None else int(there[0])

    def transaction(self, sent: list[tuple[int, list[tuple[str, int]]]], ends: str = "commit") -> None:
        """Months with records (id, second) in one store transaction, which ends so."""
        before = dict(self.known), self.next_id, set(self.months)
        self.cx.execute("BEGIN")
        for month, records in sent:
            if month not in self.months:
                create_partition(self.cx, month)
                self.months.add(month)
            rows = [
                a_row(month, record_id, second * MICROS, self.key_of(1, record_id, second * MICROS))
                for record_id, second in records
            ]
            for row in self.insert(month, rows):
                self.see_refused(month, row)
        if ends != "roll back before the move":
            self.keys.move_some(self.cx)
        if ends == "commit":
            self.cx.execute("COMMIT")
            self.keys.committed()
        else:
            self.cx.execute("ROLLBACK")
            self.keys.rolled_back()
            self.known, self.next_id, self.months = before

    def insert(self, month: int, rows: list[Row]) -> list[Row]:
        refused, free = self.keys.divide(self.cx, month, rows)
        for row in free:
            self.insert_row(month, row)
            natural = month, row[COLUMN["record_id"]], row[COLUMN["start_at"]]
            assert natural not in self.known, "charged twice"
            self.known[natural] = row[0]
        self.keys.add(month, free)
        return [rows[index] for index in refused]

    def insert_row(self, month: int, row: Row) -> None:
        row[0] = self.next_id
        self.next_id += 1
        self.cx.execute(
            f"INSERT INTO {table_of(month)} ({', '.join(COLUMNS)}) VALUES ({','.join('?' * len(row))})", row
        )

    def see_refused(self, month: int, row: Row) -> None:
        record_id, start_at = row[COLUMN["record_id"]], row[COLUMN["start_at"]]
        there = self.found(month, record_id, start_at)
        assert there == self.known.get((month, record_id, start_at))
        if there is None:
            row[COLUMN["key"]] = self.keys.free(self.cx, month, 1, record_id, start_at)
            assert not self.insert(month, [row])

    def correct(self, month: int) -> None:
        self.cx.execute("BEGIN")
        self.insert_row(month, a_row(month, "", 0, CORRECTION_KEY))
        self.cx.execute("COMMIT")
        self.keys.committed()

    def retire(self, month: int) -> None:
        for table in ("partitions", "natural_keys_moved"):
            self.cx.execute(f"DELETE FROM {table} WHERE month = ?", (month,))
        self.keys.forget(month)
        self.months.discard(month)
        self.known = {natural: id_ for natural, id_ in self.known.items() if natural[0] != month}

    def check_filters(self) -> None:
        """A filter knows every key of the table whose hour was loaded."""
        for month in self.months:
            known = self.keys._months[month]
            rows = self.cx.execute(f"SELECT key FROM {keys_table_of(month)}").fetchall()
            keys = np.array(rows, np.int64).ravel()
            assert known._filter.may_hold(keys[known._loaded[(keys >> 43) % len(known._loaded)]]).all()

    def check(self) -> None:
        for natural, id_ in self.known.items():
            assert self.found(*natural) == id_


def set_small(monkeypatch: pytest.MonkeyPatch, random: Random) -> None:
    """A handful of keys is many."""
    sizes: dict[tuple[Any, str], tuple[int, ...]] = {
        (natural_keys, "IN_MEMORY"): (1, 3, 8, 30),
        (natural_keys, "AT_ONCE"): (1, 2, 5),
        (natural_keys, "FILTER_BYTES"): (10, 100, 1 << 20),
        (month_keys, "WORTH_A_FILTER"): (1, 2, 4),
        (month_keys, "LOADED_AT_ONCE"): (1, 2, 3, 50),
        (key_filter, "FIRST"): (4, 16),
        (key_filter, "MOST"): (16, 64),
    }
    for (module, name), values in sizes.items():
        monkeypatch.setattr(module, name, random.choice(values))


def keys_by_number(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    monkeypatch.setattr(natural_keys, "key_of", store.key_of)
    monkeypatch.setattr(natural_keys, "keys_after", store.keys_after)


@pytest.mark.parametrize("seed", range(16))
def test_they_say_what_a_dictionary_says(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    random = Random(seed)
    set_small(monkeypatch, random)
    store = Store(random, random.choice((3, 50, 5_000)))
    keys_by_number(monkeypatch, store)
    retired: set[int] = set()
    for _ in range(150):
        sent = []
        for month in random.choices([month for month in BEGINS if month not in retired], k=random.randint(1, 4)):
            hours = random.choice((1, 2, 9))
            records = [
                (f"r{random.randrange(random.choice((5, 40, 400)))}",
                 BEGINS[month] + random.randrange(hours) * HOUR_S + random.choice((0, 1, 2, 3_000)))
                for _ in range(random.choice((0, 1, 3, 12)))
            ]  # fmt: skip
            sent.append((month, records))
        ends = ("commit",) * 6 + ("roll back before the move", "roll back")
        store.transaction(sent, random.choice(ends))
        store.check_filters()
        for month in store.months:
            if random.random() < 0.05:
                store.correct(month)
            assert store.found(month, "nobody's", BEGINS[month] * MICROS) is None
        if random.random() < 0.03:
            store.restart()
        if random.random() < 0.005 and len(store.months) > 1:
            retired.add(max(store.months))
            store.retire(max(store.months))
    store.check()
    store.restart()
    store.check()


@pytest.mark.parametrize("seed", range(4))
def test_no_two_hours_of_a_month_are_taken_for_one_another(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    set_small(monkeypatch, Random(seed))
    monkeypatch.setattr(natural_keys, "IN_MEMORY", 4)
    store = Store(Random(seed), 5_000)
    keys_by_number(monkeypatch, store)
    month, hours = 202610, (0, 128, 256, 512)
    for n in range(40):
        store.transaction([(month, [(f"r{n}-{i}", BEGINS[month] + hour * HOUR_S) for i, hour in enumerate(hours)])])
    store.restart()
    for n in range(40):  # one hour is loaded, and has nothing to do with the others
        store.transaction([(month, [(f"s{n}-{i}", BEGINS[month]) for i in range(4)])])
    again = [(f"r{n}-{i}", BEGINS[month] + hour * HOUR_S) for n in range(40) for i, hour in enumerate(hours)]
    stored = len(store.known)
    store.transaction([(month, again)])
    assert len(store.known) == stored
    store.check()


def test_a_filter_that_knows_no_more_than_it_has_to_does_not_keep_others_from_being_begun_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(natural_keys, "FILTER_BYTES", 3_000)
    monkeypatch.setattr(natural_keys, "IN_MEMORY", 400)
    monkeypatch.setattr(key_filter, "FIRST", 64)
    store = Store(Random(1), 1 << 31)
    keys_by_number(monkeypatch, store)
    idle, busy = 202610, 202611
    store.transaction([(idle, [(f"r{i}", BEGINS[idle] + i) for i in range(100)])])  # they stay in memory
    for n in range(80):
        store.transaction([(busy, [(f"r{n}-{i}", BEGINS[busy] + i) for i in range(30)])])
    assert len(store.keys._months[idle]._filter) == 100
    assert len(store.keys._months[busy]._filter) < 1_200
    store.check()


def test_filters_of_all_months_have_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(natural_keys, "FILTER_BYTES", 3_000)
    monkeypatch.setattr(natural_keys, "IN_MEMORY", 40)
    monkeypatch.setattr(key_filter, "FIRST", 64)
    store = Store(Random(1), 1 << 31)
    keys_by_number(monkeypatch, store)
    for n in range(60):
        month = (*BEGINS,)[n // 20]
        store.transaction([(month, [(f"r{n}-{i}", BEGINS[month] + i) for i in range(30)])])
        taken = [months.filter_bytes for months in store.keys._months.values()]
        assert sum(taken) <= 3_000
    assert len(taken) == 3
    assert taken[-1] > 1_000  # that of the month which is asked for
    store.check()
