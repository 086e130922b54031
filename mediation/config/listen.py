"""What the daemon listens on: an address of ours, with or without TLS."""

import ipaddress
import re
import ssl
from dataclasses import dataclass
from pathlib import Path

from mediation.config.addresses import Address, host_and_port
from mediation.config.tables import Reader, Table, Unfit
from mediation.config.values import on_disk, take_text

_CERTIFICATE, _KEY, _CLIENT_CA = "tls_certificate", "tls_key", "tls_client_ca"


@dataclass(frozen=True, slots=True)
class Tls:
    """The files of a listener that speaks TLS; all in PEM."""

    certificate: Path
    """Our certificate, followed by the intermediate ones."""
    key: Path
    """Its private key, without a passphrase; by default in the certificate's file."""
    client_ca: Path | None = None
    """Where given, a client must show a certificate that these authorities signed."""

    def server_context(self) -> ssl.SSLContext:
        """A context for a listener. Raises `Unfit` with the key whose file cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # An empty passphrase, or OpenSSL would ask for one on the terminal and hold up the daemon's start.
            context.load_cert_chain(self.certificate, self.key, password="")
        except (ssl.SSLError, OSError) as error:
            raise Unfit(
                f"cannot be used with its key {self.key} ({_reason(error)})",
                "give a PEM certificate, and in tls_key the unencrypted PEM key that belongs to it",
                key=_CERTIFICATE,
            ) from None
        if self.client_ca is not None:
            try:
                context.load_verify_locations(self.client_ca)
            except (ssl.SSLError, OSError) as error:
                raise Unfit(
                    f"cannot be used ({_reason(error)})", "give the authorities' PEM certificates", key=_CLIENT_CA
                ) from None
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def _reason(error: OSError) -> str:
    """A few words: OpenSSL's own come between a library's name and a position in its sources."""
    words = getattr(error, "reason", None) or re.sub(r"^\[\w+\] | \(_ssl\.c:\d+\)$", "", error.strerror or str(error))
    return str(words).lower().replace("_", " ")


@dataclass(frozen=True, slots=True)
class Listen:
    """An address that the daemon listens on."""

    host: str
    """A name or an address, IPv6 without brackets."""
    port: int
    """0 to 65535; 0 takes a free one."""
    tls: Tls | None = None
    """None: plain."""

    def __str__(self) -> str:
        return str(Address(self.host, self.port))

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def overlaps(self, other: "Listen") -> bool:
        """Whether the two cannot be open at once: one port, and one host or all hosts of its family."""
        if self.port != other.port or self.port == 0:
            return False
        return self.host == other.host or self._covers(other) or other._covers(self)

    def _covers(self, other: "Listen") -> bool:
        # asyncio opens IPv6 sockets for IPv6 alone, so that :: and 0.0.0.0 do not meet.
        return (self.host == "0.0.0.0" and ":" not in other.host) or (self.host == "::" and ":" in other.host)  # noqa: S104 - compared, not bound


@dataclass(frozen=True, slots=True)
class ListenOn(Reader[Listen]):
    """`listen` with its companions `tls_certificate`, `tls_key` and `tls_client_ca`."""

    example: str = '"127.0.0.1:8081"'

    def keys(self, key: str) -> tuple[str, ...]:
        return (key, _CERTIFICATE, _KEY, _CLIENT_CA)

    def read(self, table: Table, key: str) -> Listen:
        if key not in table.values:
            raise Unfit("is missing", f"add {self.how(key)}")
        host, port = host_and_port(take_text(table.values[key]))
        return Listen(host, port, _read_tls(table))


def _read_tls(table: Table) -> Tls | None:
    certificate, key, client_ca = (_pem(table, name) for name in (_CERTIFICATE, _KEY, _CLIENT_CA))
    if certificate is None:
        if key is not None or client_ca is not None:
            raise Unfit("is missing", 'add tls_certificate = "FILE.pem"', key=_CERTIFICATE)
        return None
    tls = Tls(certificate, key or certificate, client_ca)
    tls.server_context()  # now, so that check-config finds a key that does not fit
    return tls


def _pem(table: Table, key: str) -> Path | None:
    if key not in table.values:
        return None
    try:
        path = table.resolve(take_text(table.values[key]))
    except Unfit as unfit:
        raise Unfit(unfit.wrong, f'write {key} = "FILE.pem"', key=key) from None
    if on_disk(path) != "file":
        raise Unfit(f"there is no file {path} that can be read", "give the path of a PEM file", key=key)
    return path
