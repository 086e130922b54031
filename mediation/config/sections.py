"""The sections of the configuration as frozen dataclasses: every key, its range and its default."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from mediation.config.addresses import Address, HostPort, Mailbox, Url
from mediation.config.dial_plans import SourcePlan
from mediation.config.feeds import FEED_TYPES, SERVED_FEEDS, Feed, FilesFeed, HttpFeed, PopFeed
from mediation.config.listen import Listen, ListenOn
from mediation.config.printed import PrintedLine, PrintedLines
from mediation.config.secret import Secret
from mediation.config.tables import Key, Named, NamedByType, Section, Unfit
from mediation.config.values import Choice, Directory, Duration, Flag, MailTls, StoreUrl, Text, Whole
from mediation.config.words import dotted
from rating.dial_plan import DialPlan

DRIVERS: Final = ("kamailio", "radius", "tl1", "osmo-hlr", "mml", "ami", "esl", "ssh-cli", "telnet-cli")
"""Names of the ways to command a switch."""
SERVED_DRIVERS: Final = ("kamailio", "radius")
"""Those that this version has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """[store]: where transactions are kept, for how long, and how many are committed at once."""

    path: Annotated[Path, Key("url"), StoreUrl()]
    """The SQLite file; `sqlite:////absolute` or `sqlite:///relative to the configuration`."""
    retention_months: Annotated[int, Whole(0, 1200)] = 0
    """Months of transactions that are kept; 0 keeps all. Older starts are refused as too-old, and months before are
    exported to the archive and dropped when all of their transactions are on bills."""
    archive: Annotated[Path | None, Directory('"/var/lib/tollkeeper/archive"', "the months go to")] = None
    """Where retired months go; `archive` beside the store by default."""
    commit_records: Annotated[int, Whole(1, 100_000)] = 10_000
    """Records in one commit at most: more is faster, and makes the first of them wait longer."""

    @property
    def archive_directory(self) -> Path:
        """Where retired months go."""
        return self.archive or self.path.parent / "archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ops:
    """[ops]: health, readiness and metrics."""

    listen: Annotated[Listen, ListenOn('"127.0.0.1:8082"')]


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """[web]: pages and /api/v1."""

    listen: Annotated[Listen, ListenOn('"127.0.0.1:8080"')]
    public_url: Annotated[str | None, Url('"https://my.provider.example"')] = None
    """Where customers reach the pages, however the daemon is reached behind a proxy: mail leads there."""
    secure_cookies: Annotated[bool, Flag()] = True
    """False only on plain HTTP and loopback: elsewhere a session could be read off the wire."""

    def __post_init__(self) -> None:
        if self.public_url is not None and urlsplit(self.public_url).scheme not in ("http", "https"):
            raise Unfit("is no address of pages", "write http:// or https:// before it", key="public_url")
        if not self.secure_cookies and (self.listen.tls or not self.listen.loopback):
            raise Unfit(
                "false is for plain HTTP on loopback only", "remove it, or listen on 127.0.0.1", key="secure_cookies"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCommands:
    """[switches.NAME.services.NAME]: how one service is barred where the driver's own way is not meant."""

    name: str
    bar: Annotated[str | None, Text()] = None
    """Command template or RADIUS attributes, with the slots {line} and {reason}; None: the driver's own."""
    restore: Annotated[str | None, Text()] = None
    verify: Annotated[str | None, Text()] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """[switches.NAME]: where bars are sent, and by which driver."""

    name: str
    driver: Annotated[str, Choice(DRIVERS)]
    url: Annotated[str | None, Url()] = None
    address: Annotated[Address | None, HostPort('"127.0.0.1:3799"')] = None
    secret: Annotated[str | None, Secret()] = field(default=None, repr=False)
    services: Annotated[tuple[ServiceCommands, ...], Named(ServiceCommands)] = ()

    def __post_init__(self) -> None:
        needs = {"kamailio": ("url",), "radius": ("address", "secret")}.get(self.driver, ())
        for key in needs:
            if getattr(self, key) is None:
                raise Unfit("is missing", f"add {key}, which the driver {self.driver} needs", key=key)
        if self.driver == "kamailio" and self.url and urlsplit(self.url).scheme not in ("http", "https"):
            raise Unfit(
                f"{self.url} is no address of JSON-RPC over HTTP", "write http:// or https:// before it", key="url"
            )
        if self.url is None and self.address is None:
            raise Unfit("has neither url nor address", "add the one that reaches the switch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """[mail]: who takes our mail, and who sends it."""

    smtp: Annotated[Address, HostPort()]
    sender: Annotated[str, Key("from"), Mailbox()]
    provider: Annotated[str | None, Mailbox('"noc@provider.example"')] = None
    """Where the service provider's own alerts go."""
    amounts: Annotated[bool, Flag()] = False
    """True: mail to customers names the account, amounts, the credit limit and lines; others read mail too."""
    tls: Annotated[str, MailTls()] = "none"
    """none, starttls or implicit (TLS from the first byte); true is starttls, false is none."""
    user: Annotated[str | None, Text()] = None
    password: Annotated[str | None, Secret()] = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.user is None) != (self.password is None):
            missing, given = ("user", "password") if self.user is None else ("password", "user")
            raise Unfit("is missing", f"add {missing}, or remove {given}: the two go together", key=missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """[control] breaker: automatic bars of the whole site, after which a person must release."""

    orders: Annotated[int, Whole(1, 1_000_000)] = 20
    per_s: Annotated[int, Key("per"), Duration("1s", "7d", '"10m"')] = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """[control]: account events."""

    periodic_check_s: Annotated[int, Key("periodic_check"), Duration("1s", "31d", '"1h"')] = 3600
    """Default interval of periodic account events."""
    breaker: Annotated[Breaker, Section(Breaker)] = Breaker()


@dataclass(frozen=True, slots=True, kw_only=True)
class Billing:
    """[billing]: when bills are made, and what stands at their head."""

    after_s: Annotated[int, Key("after"), Duration("1s", "31d", '"2h"')] = 7200
    """So long after its end a bill cycle is billed: records that come late until then are still on its bill."""
    scheduled: Annotated[bool, Flag()] = True
    """False: the daemon makes no bills by itself, only `tollkeeper bill-run` does."""
    provider_name: Annotated[str | None, PrintedLine()] = None
    """Who issues the invoices; a bill keeps what it is when it is made."""
    letterhead: Annotated[tuple[str, ...], PrintedLines()] = ()
    """The lines below that name."""

    def __post_init__(self) -> None:
        if self.letterhead and self.provider_name is None:
            raise Unfit(
                "is missing", "add provider_name, which stands above the lines of letterhead", key="provider_name"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """[rating]: how and where records are rated."""

    default_tariff: Annotated[str | None, Text('"standard"')] = None
    """Rates a line that has no tariff, and whose account has none."""
    processes: Annotated[int, Whole(0, 64)] = 0
    """Processes that read and rate records beside the one that owns the store; 0: it does that itself. One makes a busy
    site faster where there are two cores or more; each holds all lines and tariffs, the owner no lines then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration. What has no section (None, or an empty tuple) is not started."""

    file: Path
    store: Annotated[Store, Section(Store)]
    ops: Annotated[Ops | None, Section(Ops)] = None
    web: Annotated[Web | None, Section(Web)] = None
    feeds: Annotated[tuple[Feed, ...], NamedByType(FEED_TYPES)] = ()
    dial_plans: Annotated[tuple[SourcePlan, ...], Named(SourcePlan)] = ()
    switches: Annotated[tuple[Switch, ...], Named(Switch)] = ()
    mail: Annotated[Mail | None, Section(Mail)] = None
    control: Annotated[Control | None, Section(Control)] = None
    billing: Annotated[Billing | None, Section(Billing)] = None
    rating: Annotated[Rating, Section(Rating)] = Rating()

    @property
    def pop_feeds(self) -> tuple[PopFeed, ...]:
        """The feeds of POPs."""
        return tuple(feed for feed in self.feeds if isinstance(feed, PopFeed))

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of all sources of the feeds that this version starts; one may have several feeds."""
        return tuple(dict.fromkeys(name for _, name in self._reports()))

    @property
    def plans(self) -> dict[str, DialPlan]:
        """The dial plans by the sources that have one."""
        return {section.name: section.plan() for section in self.dial_plans}

    @property
    def sources_of_several_feeds(self) -> frozenset[str]:
        """Those that more than one feed reports for: the same calls may come by each."""
        feeds = Counter(name for _, name in set(self._reports()))
        return frozenset(name for name, number in feeds.items() if number > 1)

    def _reports(self) -> Iterator[tuple[str, str]]:
        """Each feed with each of its sources."""
        for feed in self.feeds:
            if isinstance(feed, PopFeed):
                yield from ((feed.name, source.name) for source in feed.sources)
            elif isinstance(feed, FilesFeed | HttpFeed):
                yield feed.name, feed.source
            else:
                yield from ((feed.name, client.source_name) for client in feed.clients)

    def unserved(self) -> tuple[str, ...]:
        """Configured tables that this version checks but does not start, as TOML writes them."""
        tables: list[tuple[str, ...]] = [("feeds", feed.name) for feed in self.feeds if feed.type not in SERVED_FEEDS]
        tables += [("switches", switch.name) for switch in self.switches if switch.driver not in SERVED_DRIVERS]
        return tuple(dotted(table) for table in tables)
