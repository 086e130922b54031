"""Rules that look across sections: what each section alone cannot see is wrong."""

from collections.abc import Iterator
from itertools import combinations

from mediation.config.feeds import FilesFeed, RadiusFeed
from mediation.config.listen import Listen
from mediation.config.sections import Config
from mediation.config.tables import ConfigError
from mediation.config.words import dotted, suggestion


def check(config: Config) -> None:
    """Refuses a configuration whose sections do not go together. Raises `ConfigError`."""
    for key, wrong, remedy in (
        *_shared_addresses(config),
        *_shared_tokens(config),
        *_shared_directories(config),
        *_plans_of_nobody(config),
    ):
        raise ConfigError(config.file, key, wrong, remedy)


def listeners(config: Config) -> Iterator[tuple[str, str, Listen]]:
    """Every configured listener: dotted table, transport (tcp or udp), address."""
    for section in ("ops", "web"):
        if part := getattr(config, section):
            yield section, "tcp", part.listen
    for feed in config.feeds:
        listen = getattr(feed, "listen", None)
        if listen is not None:
            # RADIUS is UDP (RFC 2866); with a certificate it is RadSec, which is TCP (RFC 6614).
            datagrams = isinstance(feed, RadiusFeed) and listen.tls is None
            yield dotted(("feeds", feed.name)), "udp" if datagrams else "tcp", listen


def _shared_addresses(config: Config) -> Iterator[tuple[str, str, str]]:
    for (first, transport, here), (second, other, there) in combinations(listeners(config), 2):
        if transport == other and here.overlaps(there):
            yield f"{second}.listen", f"{there} is taken by {first}.listen ({here})", "give each its own port"


def _shared_tokens(config: Config) -> Iterator[tuple[str, str, str]]:
    """A token says which source is posting, so it belongs to one; a source may post to several feeds with it."""
    owners: dict[str, str] = {}
    for feed in config.pop_feeds:
        for source in feed.sources:
            owner = owners.setdefault(source.token, source.name)
            if owner != source.name:
                key = dotted(("feeds", feed.name, "sources", source.name, "token"))
                yield key, f"is the token of source {owner} too", "give each source its own"


def _shared_directories(config: Config) -> Iterator[tuple[str, str, str]]:
    """A file belongs to one feed."""
    feeds = [feed for feed in config.feeds if isinstance(feed, FilesFeed)]
    for first, second in combinations(feeds, 2):
        if first.directory == second.directory:
            key = dotted(("feeds", second.name, "directory"))
            yield key, f"is the directory of feed {first.name} too", "give each its own"


def _plans_of_nobody(config: Config) -> Iterator[tuple[str, str, str]]:
    """A mistyped name would leave the source without its plan."""
    for section in config.dial_plans:
        if section.name not in config.sources:
            remedy = suggestion(section.name, config.sources) if config.sources else "add the feed that it reports by"
            yield dotted(("dial_plans", section.name)), "is the plan of a source that no feed has", remedy
