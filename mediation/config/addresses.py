"""Readers of addresses: HOST:PORT, networks, URLs, mailboxes."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from mediation.config.tables import Reader, Table, Unfit
from mediation.config.values import take_text
from mediation.config.words import quoted

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_MAILBOX: Final = re.compile(r"[^\s@<>,;\"]+@[^\s@<>,;\"]+")


@dataclass(frozen=True, slots=True)
class UrlPath(Reader[str]):
    """The path part of a URL, from its slash on."""

    example: str = '"/cdr"'

    def read(self, table: Table, key: str) -> str:
        path = take_text(table.values[key])
        if not path.startswith("/") or any(character in path for character in " ?#{}"):
            raise Unfit(f"{quoted(path)} is no path", f"write {self.how(key)}: a slash first, no blank, ?, #, {{ or }}")
        return path


@dataclass(frozen=True, slots=True)
class Url(Reader[str]):
    """A URL with a scheme and a host."""

    example: str = '"http://127.0.0.1:15080/RPC"'

    def read(self, table: Table, key: str) -> str:
        url = take_text(table.values[key])
        try:
            parts = urlsplit(url)
            usable = bool(parts.scheme and parts.hostname) and parts.port != 0
        except ValueError:  # a port that is no number, brackets that do not close
            usable = False
        if not usable or " " in url:
            raise Unfit("is no URL with a scheme and a host")
        return url


@dataclass(frozen=True, slots=True)
class Mailbox(Reader[str]):
    """A bare e-mail address."""

    example: str = '"billing@provider.example"'

    def read(self, table: Table, key: str) -> str:
        address = take_text(table.values[key])
        if not _MAILBOX.fullmatch(address):
            raise Unfit(f"{quoted(address)} is no e-mail address", f"write {self.how(key)}, the bare address")
        return address


@dataclass(frozen=True, slots=True)
class Clients(Reader[Network]):
    """An address, or a network in CIDR notation."""

    example: str = '"192.0.2.1"'

    def read(self, table: Table, key: str) -> Network:
        text = take_text(table.values[key])
        try:
            return ipaddress.ip_network(text)
        except ValueError as error:
            wrong = "has host bits set" if "host bits" in str(error) else f"{quoted(text)} is no address or network"
            raise Unfit(wrong, f"write {self.how(key)}, or a network such as 192.0.2.0/24") from None


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port, of something that others listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class HostPort(Reader[Address]):
    """Somebody else's HOST:PORT."""

    example: str = '"127.0.0.1:25"'

    def read(self, table: Table, key: str) -> Address:
        host, port = host_and_port(take_text(table.values[key]))
        if port == 0:
            raise Unfit("has port 0, which nobody listens on")
        return Address(host, port)


def host_and_port(text: str) -> tuple[str, int]:
    """Splits HOST:PORT; an IPv6 address stands in brackets, and is answered without them. Port 0 to 65535."""
    host, colon, digits = text.rpartition(":")
    if not colon or not host or not re.fullmatch(r"[0-9]{1,5}", digits) or int(digits) > 65535:
        raise Unfit(f"{quoted(text)} is not HOST:PORT with a port from 0 to 65535")
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1])), int(digits)
        except ValueError:
            raise Unfit(f"{quoted(host)} is no IPv6 address") from None
    if ":" in host:
        raise Unfit(f"{quoted(text)} has an IPv6 address without brackets", f'write "[{host}]:{digits}"')
    if not _HOST.fullmatch(host) or (host.replace(".", "").isdigit() and not _is_ipv4(host)):
        raise Unfit(f"{quoted(host)} is no host name or address")
    return host, int(digits)


def _is_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True
