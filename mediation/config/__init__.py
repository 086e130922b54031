"""The daemon's configuration: a TOML file into frozen dataclasses, refused in one line with a remedy."""

from mediation.config.addresses import Address
from mediation.config.dial_plans import SourcePlan
from mediation.config.feeds import Feed, FilesFeed, HttpFeed, PopFeed, RadiusClient, RadiusFeed, Source
from mediation.config.file import read_config
from mediation.config.listen import Listen, Tls
from mediation.config.rules import listeners
from mediation.config.sections import Breaker, Config, Control, Mail, Ops, Rating, ServiceCommands, Store, Switch, Web
from mediation.config.tables import ConfigError

__all__ = [
    "Address",
    "Breaker",
    "Config",
    "ConfigError",
    "Control",
    "Feed",
    "FilesFeed",
    "HttpFeed",
    "Listen",
    "Mail",
    "Ops",
    "PopFeed",
    "RadiusClient",
    "RadiusFeed",
    "Rating",
    "ServiceCommands",
    "Source",
    "SourcePlan",
    "Store",
    "Switch",
    "Tls",
    "Web",
    "listeners",
    "read_config",
]
