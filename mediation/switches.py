"""The switches of a configuration: a driver for each that this version can command."""

from collections.abc import Mapping

from access.barring import Barring
from access.drivers.kamailio import KamailioBarring
from access.drivers.radius import RadiusDriver, service_attributes
from access.drivers.rpc_commands import TemplateError as CommandError
from access.drivers.rpc_commands import rpc_commands
from access.radius.dictionary import Dictionary
from access.radius.exchange import Exchange
from access.radius.template import TemplateError as BadAttributes
from access.sessions import LiveSessions
from mediation.config import Config, ConfigError, Switch
from mediation.config.words import dotted


def drivers_of(config: Config, sessions: LiveSessions) -> Mapping[str, Barring]:
    """A driver for each switch, by name; `sessions` are those that accounting told of. Raises ConfigError for a command
    that cannot be read."""
    drivers: dict[str, Barring] = {}
    for switch in config.switches:
        if switch.driver == "kamailio":
            drivers[switch.name] = _kamailio(config, switch, sessions)
        elif switch.driver == "radius":
            drivers[switch.name] = _radius(config, switch, sessions)
    return drivers


def _kamailio(config: Config, switch: Switch, sessions: LiveSessions) -> KamailioBarring:
    assert switch.url is not None
    services = {}
    for service in switch.services:
        if not (service.bar and service.restore and service.verify):
            continue
        try:
            services[service.name] = rpc_commands(service.bar, service.restore, service.verify)
        except CommandError as error:
            key = dotted(("switches", switch.name, "services", service.name))
            raise ConfigError(config.file, key, str(error), "write a JSON-RPC method and its parameters") from None
    return KamailioBarring(switch.url, services=services, idle=lambda line: sessions.deny_of_line(switch.name, line))


def _radius(config: Config, switch: Switch, sessions: LiveSessions) -> RadiusDriver:
    assert switch.address is not None
    assert switch.secret is not None
    dictionary = Dictionary()
    services = {}
    for service in switch.services:
        try:
            services[service.name] = service_attributes(service.bar, service.restore, dictionary)
        except BadAttributes as error:
            key = dotted(("switches", switch.name, "services", service.name))
            raise ConfigError(config.file, key, str(error), "write attributes such as Filter-Id=barred") from None
    exchange = Exchange(switch.address.host, switch.address.port, switch.secret.encode(), dictionary)
    return RadiusDriver(switch.name, switch.address.host, exchange, sessions, services)
