"""The [feeds.NAME] sections: how call records come in, and who may send them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Final
from zoneinfo import ZoneInfo

from mediation.config.addresses import Clients, Network, UrlPath
from mediation.config.listen import Listen, ListenOn
from mediation.config.secret import Secret
from mediation.config.tables import Key, Named, Unfit
from mediation.config.values import Choice, Directory, Duration, Name, Whole, Zone

FORMATS: Final = ("ndjson", "asterisk-csv", "kamailio-json")
"""Names of the formats that a feed can carry."""

SERVED_FEEDS: Final = ("pop", "files", "http", "radius-accounting")
"""Types of feed that this version starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """[feeds.NAME.sources.NAME]: a POP that may post."""

    name: str
    token: Annotated[str, Secret()] = field(repr=False)
    """Bearer token, not empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PopFeed:
    """[feeds.NAME] of type pop: call records over HTTP and WebSocket."""

    name: str
    type: ClassVar[str] = "pop"
    listen: Annotated[Listen, ListenOn()]
    sources: Annotated[tuple[Source, ...], Named(Source)] = ()
    max_body_bytes: Annotated[int, Whole(1_000, 1_000_000_000)] = 16_000_000
    """Longest body or message, decoded; a longer one is answered 413, or closes the stream with 1009."""
    max_queue_records: Annotated[int, Whole(16_000, 10_000_000)] = 50_000
    """Records of one source that wait for the store at most; then 503. The least is 32 requests of 500 records."""
    read_timeout_s: Annotated[int, Key("read_timeout"), Duration("1s", "1h")] = 30
    """A body must arrive within it."""
    quiet_after_s: Annotated[int, Key("quiet_after"), Duration("1s", "31d", '"15m"')] = 900
    """A source that has sent nothing for so long is shown as silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesFeed:
    """[feeds.NAME] of type files: a directory that a switch drops files into."""

    name: str
    type: ClassVar[str] = "files"
    source: Annotated[str, Name()]
    directory: Annotated[Path, Directory()]
    format: Annotated[str, Choice(FORMATS)]
    timezone: Annotated[ZoneInfo | None, Zone()] = None
    """For formats that carry local time."""
    settle_s: Annotated[int, Key("settle"), Duration("1s", "1h", '"2s"')] = 2
    """A file is taken when it has not changed for so long, and nobody has it open for writing."""
    torn_after_s: Annotated[int, Key("torn_after"), Duration("1s", "31d", '"10m"')] = 600
    """A file that ends in the middle of a record, or of its gzip data, is waited for so long; then it is taken as it
    is, or put into `failed` where it cannot be unpacked."""
    quiet_after_s: Annotated[int, Key("quiet_after"), Duration("1s", "31d", '"15m"')] = 900
    """A source that has sent nothing for so long is shown as silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFeed:
    """[feeds.NAME] of type http: a switch that posts records in a format of its own."""

    name: str
    type: ClassVar[str] = "http"
    source: Annotated[str, Name('"kam1"')]
    listen: Annotated[Listen, ListenOn('"127.0.0.1:18081"')]
    path: Annotated[str, UrlPath()]
    format: Annotated[str, Choice(FORMATS)]
    timezone: Annotated[ZoneInfo | None, Zone()] = None
    """For formats that carry local time."""
    token: Annotated[str | None, Secret()] = field(default=None, repr=False)
    """Bearer token that a post must carry; None: whoever reaches the listener may post."""
    max_body_bytes: Annotated[int, Whole(1_000, 1_000_000_000)] = 16_000_000
    """Longest body, decoded; a longer one is answered 413."""
    read_timeout_s: Annotated[int, Key("read_timeout"), Duration("1s", "1h")] = 30
    """A body must arrive within it."""
    quiet_after_s: Annotated[int, Key("quiet_after"), Duration("1s", "31d", '"15m"')] = 900
    """A source that has sent nothing for so long is shown as silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RadiusClient:
    """[feeds.NAME.clients.NAME]: a NAS, or a network of them, that may send accounting."""

    name: str
    source: Annotated[str | None, Name('"nas1"')] = None
    """None: the client's name."""
    address: Annotated[Network, Clients()]
    secret: Annotated[str, Secret()] = field(repr=False)

    @property
    def source_name(self) -> str:
        """The source that its records count for."""
        return self.source or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class RadiusFeed:
    """[feeds.NAME] of type radius-accounting: UDP, or RadSec where it has a certificate."""

    name: str
    type: ClassVar[str] = "radius-accounting"
    listen: Annotated[Listen, ListenOn('"127.0.0.1:1813"')]
    clients: Annotated[tuple[RadiusClient, ...], Named(RadiusClient)] = ()
    quiet_after_s: Annotated[int, Key("quiet_after"), Duration("1s", "31d", '"15m"')] = 900
    """A source that has sent nothing for so long is shown as silent."""

    def __post_init__(self) -> None:
        if self.listen.tls is not None:
            raise Unfit("is RadSec, which this version does not speak", "remove it", key="tls_certificate")
        seen: dict[Network, str] = {}
        for client in self.clients:
            first = seen.setdefault(client.address, client.name)
            if first != client.name:
                raise Unfit(f"clients {first} and {client.name} have one address", "merge them", key="clients")


Feed = PopFeed | FilesFeed | HttpFeed | RadiusFeed

FEED_TYPES: Final = {feed.type: feed for feed in (PopFeed, FilesFeed, HttpFeed, RadiusFeed)}
