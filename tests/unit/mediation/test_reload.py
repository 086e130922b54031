"""What a changed configuration changes: which keys take effect at once, which need a restart, and what runs then."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mediation.config import Config, ConfigError, PopFeed, read_config
from mediation.reload import Change, Reload, Reloadable, compare, in_effect
from rating.dial_plan import DialPlan
from rating.store.errors import StoreFailed

OLD = """
[store]
url = "sqlite:////var/lib/tollkeeper/tollkeeper.db"
[ops]
listen = "127.0.0.1:8082"
[mail]
smtp = "127.0.0.1:25"
from = "billing@provider.example"
[feeds.pops]
type = "pop"
listen = "127.0.0.1:8081"
[feeds.pops.sources.pop-a]
token = "secret-a"
[feeds.pops.sources.pop-b]
token = "secret-b"
[feeds.more]
type = "pop"
listen = "127.0.0.1:8083"
[feeds.kamailio]
type = "http"
source = "kam1"
listen = "127.0.0.1:18081"
path = "/cdr"
format = "kamailio-json"
token = "secret-k"
[dial_plans.kam1]
country = "US"
[rating]
default_tariff = "standard"
"""

Read = Callable[[str], Config]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(text: str) -> Config:
        file = tmp_path / "tollkeeper.toml"
        file.write_text(text)
        return read_config(file, {})

    return read


# What is replaced by what, what takes effect, what needs a restart; each "key how".
ROWS: dict[str, tuple[str, str, list[str], list[str]]] = {
    "nothing": ("", "", [], []),
    "a token": ("secret-a", "another-a", ["feeds.pops.sources.pop-a.token changed"], []),
    "two tokens swapped": (
        'token = "secret-a"\n[feeds.pops.sources.pop-b]\ntoken = "secret-b"',
        'token = "secret-b"\n[feeds.pops.sources.pop-b]\ntoken = "secret-a"',
        ["feeds.pops.sources.pop-a.token changed", "feeds.pops.sources.pop-b.token changed"], [],
    ),
    "a new source": (
        "[feeds.more]", '[feeds.pops.sources."pop c"]\ntoken = "secret-c"\n[feeds.more]',
        ['feeds.pops.sources."pop c" added'], [],
    ),
    "a source less": (
        '[feeds.pops.sources.pop-b]\ntoken = "secret-b"\n', "", ["feeds.pops.sources.pop-b removed"], [],
    ),
    "the first source of a feed": (
        "[feeds.kamailio]", '[feeds.more.sources.pop-c]\ntoken = "secret-c"\n[feeds.kamailio]',
        ["feeds.more.sources.pop-c added"], [],
    ),
    "another order": (
        '[feeds.pops.sources.pop-a]\ntoken = "secret-a"\n[feeds.pops.sources.pop-b]\ntoken = "secret-b"\n',
        '[feeds.pops.sources.pop-b]\ntoken = "secret-b"\n[feeds.pops.sources.pop-a]\ntoken = "secret-a"\n', [], [],
    ),
    "the default tariff": ('"standard"', '"gold"', ["rating.default_tariff changed"], []),
    "no default tariff": ('default_tariff = "standard"', "", ["rating.default_tariff removed"], []),
    "a dial plan": ('country = "US"', 'country = "GB"', ["dial_plans.kam1.country changed"], []),
    "a dial plan more": ("[rating]", '[dial_plans.pop-a]\ncountry = "GB"\n[rating]', ["dial_plans.pop-a added"], []),
    "a dial plan less": ('[dial_plans.kam1]\ncountry = "US"\n', "", ["dial_plans.kam1 removed"], []),
    "what a dial plan says besides": (
        'country = "US"', 'country = "US"\nshort_numbers = ["911"]', ["dial_plans.kam1.short_numbers changed"], [],
    ),
    "the store": ("tollkeeper.db", "another.db", [], ["store.url changed"]),
    "a key that was left out": ("[ops]", "retention_months = 24\n[ops]", [], ["store.retention_months changed"]),
    "an address": ("127.0.0.1:8081", "127.0.0.1:9081", [], ["feeds.pops.listen changed"]),
    "an address and a token": (
        '127.0.0.1:8081"\n[feeds.pops.sources.pop-a]\ntoken = "secret-a"',
        '127.0.0.1:9081"\n[feeds.pops.sources.pop-a]\ntoken = "another-a"',
        ["feeds.pops.sources.pop-a.token changed"], ["feeds.pops.listen changed"],
    ),
    "a section more": ("[ops]", '[web]\nlisten = "127.0.0.1:8080"\n[ops]', [], ["web added"]),
    "a section less": ('[ops]\nlisten = "127.0.0.1:8082"\n', "", [], ["ops removed"]),
    "a feed more": (
        "[rating]", '[feeds.new]\ntype = "pop"\nlisten = "127.0.0.1:84"\n[feeds.new.sources.x]\ntoken = "x"\n[rating]',
        [], ["feeds.new added"],
    ),
    "a feed less": ('[feeds.more]\ntype = "pop"\nlisten = "127.0.0.1:8083"\n', "", [], ["feeds.more removed"]),
    "a feed of another kind": (
        '[feeds.more]\ntype = "pop"', '[feeds.more]\ntype = "radius-accounting"', [], ["feeds.more changed"],
    ),
    "a token of another kind of feed": ("secret-k", "another-k", [], ["feeds.kamailio.token changed"]),
    "a key that TOML calls otherwise": (
        "billing@provider.example", "invoices@provider.example", [], ["mail.from changed"],
    ),
    "an address of two parts": ("127.0.0.1:25", "127.0.0.1:2525", [], ["mail.smtp changed"]),
}  # fmt: skip


def told(changes: tuple[Change, ...]) -> list[str]:
    return [f"{change.key} {change.how}" for change in changes]


@pytest.mark.parametrize(("was", "is_", "reloadable", "needs_restart"), ROWS.values(), ids=ROWS.keys())
def test_differences_are_named_by_their_keys(
    read: Read, was: str, is_: str, reloadable: list[str], needs_restart: list[str]
) -> None:
    assert was in OLD
    old, new = read(OLD), read(OLD.replace(was, is_, 1))
    changes = compare(old, new)
    assert told(changes.reloadable) == reloadable
    assert told(changes.needs_restart) == needs_restart
    # What needs a restart still does after the reload; what took effect is not told again.
    again = compare(in_effect(old, new), new)
    assert told(again.reloadable) == []
    assert told(again.needs_restart) == needs_restart


class Running:
    """What a daemon would be told."""

    def __init__(self) -> None:
        self.tokens: dict[str, dict[str, str]] = {}
        self.tariffs: list[str | None] = []
        self.plans: list[Mapping[str, DialPlan]] = []
        self.fails = False

    async def sources(self, feed: PopFeed) -> None:
        if self.fails:
            raise StoreFailed("the disk failed")
        self.tokens[feed.name] = {source.name: source.token for source in feed.sources}

    async def default_tariff(self, name: str | None) -> None:
        self.tariffs.append(name)

    async def dial_plans(self, plans: Mapping[str, DialPlan]) -> None:
        self.plans.append(plans)

    def parts(self) -> Reloadable:
        return Reloadable(
            sources=self.sources, default_tariff=self.default_tariff, dial_plans=self.dial_plans, certificates={}
        )


async def test_a_reload_changes_what_it_can_and_says_the_rest(read: Read, caplog: pytest.LogCaptureFixture) -> None:
    running = Running()
    text = OLD.replace("secret-a", "another-a").replace('"standard"', '"gold"').replace(":8081", ":9081")
    with caplog.at_level(logging.INFO):
        await Reload(read(OLD), lambda: read(text), running.parts()).reload()
    assert running.tokens == {"pops": {"pop-a": "another-a", "pop-b": "secret-b"}}
    assert running.tariffs == ["gold"]
    assert running.plans == []
    said = [(record.getMessage(), vars(record).get("key")) for record in caplog.records]
    assert said == [
        ("reloaded", "feeds.pops.sources.pop-a.token"),
        ("reloaded", "rating.default_tariff"),
        ("differs, and needs a restart", "feeds.pops.listen"),
        ("configuration read again", None),
    ]
    assert not any(word in str(vars(record)) for record in caplog.records for word in ("another-a", "secret-"))


async def test_a_dial_plan_is_in_force_at_once_and_told_once(read: Read) -> None:
    running = Running()
    text = OLD.replace('country = "US"', 'country = "GB"')
    reload = Reload(read(OLD), lambda: read(text), running.parts())
    await reload.reload()
    await reload.reload()
    assert running.plans == [{"kam1": DialPlan(country="GB")}]


async def test_a_configuration_that_is_wrong_changes_nothing(read: Read, caplog: pytest.LogCaptureFixture) -> None:
    running = Running()
    texts = iter([OLD.replace("secret-a", "another-a").replace("127.0.0.1:8081", "nowhere"), OLD])
    reload = Reload(read(OLD), lambda: read(next(texts)), running.parts())
    with caplog.at_level(logging.INFO):
        assert await reload.reload() is None
        (record,) = caplog.records
        assert record.levelno == logging.ERROR
        assert "feeds.pops.listen" in record.getMessage()
        assert "\n" not in record.getMessage()
        changes = await reload.reload()
    assert changes is not None
    assert told(changes.reloadable + changes.needs_restart) == []
    assert (running.tokens, running.tariffs) == ({}, [])


async def test_what_a_failed_store_kept_from_taking_effect_is_not_taken_for_done(read: Read) -> None:
    running = Running()
    running.fails = True
    reload = Reload(read(OLD), lambda: read(OLD.replace("secret-a", "another-a")), running.parts())
    with pytest.raises(StoreFailed):
        await reload.reload()
    running.fails = False
    await reload.reload()
    assert running.tokens["pops"]["pop-a"] == "another-a"


def test_the_reader_of_these_tests_refuses_what_is_wrong(read: Read) -> None:
    with pytest.raises(ConfigError):
        read(OLD.replace("127.0.0.1:8081", "nowhere"))
