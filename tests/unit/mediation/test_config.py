"""The configuration: the contract's example is accepted, and every refusal names the file, the key and a remedy."""

import ssl
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from mediation.config import Address, Breaker, Config, ConfigError, Listen, PopFeed, Rating, Tls, listeners, read_config
from mediation.config.sections import Billing
from mediation.config.tables import Table, read_section

STORE = '[store]\nurl = "sqlite:///tollkeeper.db"\n'
POPS = STORE + '[feeds.pops]\ntype = "pop"\nlisten = "127.0.0.1:8081"\n'
SOURCE = POPS + "[feeds.pops.sources.nyc]\n"

CONTRACT = """
[store]
url = "sqlite:////var/lib/tollkeeper/tollkeeper.db"

[ops]
listen = "127.0.0.1:8082"

[web]
listen = "127.0.0.1:8080"
secure_cookies = true

[feeds.pops]
type = "pop"
listen = "127.0.0.1:8081"
[feeds.pops.sources.pop-nyc]
token = "…"

[feeds.asterisk]
type = "files"
source = "pbx1"
directory = "/var/spool/tollkeeper/asterisk"
format = "asterisk-csv"
timezone = "America/New_York"

[feeds.kamailio]
type = "http"
source = "kam1"
listen = "127.0.0.1:18081"
path = "/cdr"
format = "kamailio-json"

[feeds.radius]
type = "radius-accounting"
listen = "127.0.0.1:1813"
[feeds.radius.clients.nas1]
source = "kam1"
address = "127.0.0.1"
secret = "…"

[switches.kam1]
driver = "kamailio"
url = "http://127.0.0.1:15080/RPC"
[switches.kam1.services.voice-mail]
bar = "…"
restore = "…"
verify = "…"

[switches.nas1]
driver = "radius"
address = "127.0.0.1:3799"
secret = "…"

[mail]
smtp = "127.0.0.1:25"
from = "billing@provider.example"
provider = "noc@provider.example"

[control]
periodic_check = "1h"
breaker = { orders = 20, per = "10m" }

[rating]
default_tariff = "standard"
"""


# A certificate of localhost until 2126, its key, and a key of something else; they protect nothing.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBVTCCAQegAwIBAgIUU29FFiCDqq8RgZWzw9A0HonzkxwwBQYDK2VwMBQxEjAQ
BgNVBAMMCWxvY2FsaG9zdDAgFw0yNjExMjAyMTE3MDNaGA8yMTI2MTAyNzIxMTcw
M1owFDESMBAGA1UEAwwJbG9jYWxob3N0MCowBQYDK2VwAyEAU9ft7HawTk6pKv46
SIL/c4m3EGa/ZNDWSfnAWQKAw2OjaTBnMB0GA1UdDgQWBBTZIWzzFzopBaHbi/IX
KX+pmFGxjDAfBgNVHSMEGDAWgBTZIWzzFzopBaHbi/IXKX+pmFGxjDAPBgNVHRMB
Af8EBTADAQH/MBQGA1UdEQQNMAuCCWxvY2FsaG9zdDAFBgMrZXADQQB8xIU1Hro/
4X573qCSwNXjwH4qfUoL3eNpmYx5nkeDLXJJN3xWcK8sbd0BSWUfJHq/u6Xb5dmy
giDwqUk/moIM
-----END CERTIFICATE-----
"""
CERTIFICATE_KEY = """\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIODhpV+of6G/KRaE9YdBAD4K+4MoqONs9EcIFD3PB1V/
-----END PRIVATE KEY-----
"""
OTHER_KEY = """\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIH4MrVkY2LxVZU26neALR4VvMXl9SnLNioc/ZFQNGv8/
-----END PRIVATE KEY-----
"""


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Reads a configuration that is given as text."""

    def reading(text: str, **environment: str) -> Config:
        file = tmp_path / "site.toml"
        file.write_text(text)
        return read_config(file, environment)

    return reading


def test_the_example_of_the_contract_is_accepted(read: Any) -> None:
    config = read(CONTRACT)

    assert config.store.path == Path("/var/lib/tollkeeper/tollkeeper.db")
    assert config.web.secure_cookies
    pops, asterisk, kamailio, radius = config.feeds
    assert (pops.name, pops.listen, pops.sources[0].name) == ("pops", Listen("127.0.0.1", 8081), "pop-nyc")
    assert (asterisk.source, asterisk.format, str(asterisk.timezone)) == ("pbx1", "asterisk-csv", "America/New_York")
    assert (kamailio.source, kamailio.path) == ("kam1", "/cdr")
    assert (radius.clients[0].source_name, radius.clients[0].address) == ("kam1", ip_network("127.0.0.1/32"))
    kam1, nas1 = config.switches
    assert (kam1.driver, kam1.services[0].name, kam1.services[0].verify) == ("kamailio", "voice-mail", "…")
    assert (nas1.address, nas1.secret) == (Address("127.0.0.1", 3799), "…")
    assert (config.mail.smtp, config.mail.sender, config.mail.tls) == (
        Address("127.0.0.1", 25),
        "billing@provider.example",
        "none",
    )
    assert (config.control.periodic_check_s, config.control.breaker) == (3600, Breaker(orders=20, per_s=600))
    assert config.rating.default_tariff == "standard"
    assert config.unserved() == ()


def test_only_the_store_is_required_and_what_has_no_section_is_off(read: Any, tmp_path: Path) -> None:
    config = read(STORE)

    assert config.store.path == tmp_path / "tollkeeper.db"  # relative to the file, not to the working directory
    assert (config.store.retention_months, config.store.commit_records) == (0, 10_000)
    assert (config.ops, config.web, config.feeds, config.switches, config.mail) == (None, None, (), (), None)
    assert config.rating == Rating(default_tariff=None)
    assert config.unserved() == ()


def test_the_head_of_invoices_is_what_is_written_and_bills_are_scheduled_unless_not(read: Any) -> None:
    assert read(STORE + "[billing]").billing == Billing(after_s=7200, scheduled=True, provider_name=None, letterhead=())
    lines = 'provider_name = "Trans & Co "\nletterhead = ["12 Harbour Street", "Tel. +1 212 555 0100"]\n'
    assert read(STORE + "[billing]\nscheduled = false\n" + lines).billing == Billing(
        scheduled=False, provider_name="Trans & Co", letterhead=("12 Harbour Street", "Tel. +1 212 555 0100")
    )


def test_a_pop_feed_has_the_documented_defaults(read: Any) -> None:
    (feed,) = read(POPS).pop_feeds
    assert feed == PopFeed(
        name="pops",
        listen=Listen("127.0.0.1", 8081),
        sources=(),
        max_body_bytes=16_000_000,
        max_queue_records=50_000,
        read_timeout_s=30,
    )


@pytest.mark.parametrize(
    ("text", "listen", "shown"),
    [
        ("127.0.0.1:8081", Listen("127.0.0.1", 8081), "127.0.0.1:8081"),
        ("[::1]:0", Listen("::1", 0), "[::1]:0"),
        ("localhost:65535", Listen("localhost", 65535), "localhost:65535"),
        ("pop-1.provider.example:80", Listen("pop-1.provider.example", 80), "pop-1.provider.example:80"),
    ],
)
def test_listen_takes_names_both_address_families_and_port_0(read: Any, text: str, listen: Listen, shown: str) -> None:
    config = read(f'{STORE}[ops]\nlisten = "{text}"\n')
    assert config.ops.listen == listen
    assert str(config.ops.listen) == shown


@pytest.mark.parametrize(("text", "seconds"), [("1s", 1), ("30s", 30), ("10m", 600), ("1h", 3600), ("2d", 172_800)])
def test_durations_become_seconds(read: Any, text: str, seconds: int) -> None:
    assert read(f'{STORE}[control]\nperiodic_check = "{text}"\n').control.periodic_check_s == seconds


@pytest.mark.parametrize(("written", "tls"), [("true", "starttls"), ("false", "none"), ('"implicit"', "implicit")])
def test_mail_protection_is_a_word_or_a_flag(read: Any, written: str, tls: str) -> None:
    mail = f'{STORE}[mail]\nsmtp = "mx.example:25"\nfrom = "a@b.example"\ntls = {written}\n'
    assert read(mail).mail.tls == tls


class TestSecrets:
    """X, X_file or X_credential."""

    def test_are_taken_from_the_file_itself(self, read: Any) -> None:
        assert read(SOURCE + 'token = "s3cret"').pop_feeds[0].sources[0].token == "s3cret"

    def test_are_taken_from_a_file_beside_it_without_its_line_end(self, read: Any, tmp_path: Path) -> None:
        (tmp_path / "nyc.token").write_text("s3cret \n")
        assert read(SOURCE + 'token_file = "nyc.token"').pop_feeds[0].sources[0].token == "s3cret "

    def test_are_taken_from_systemd(self, read: Any, tmp_path: Path) -> None:
        (tmp_path / "nyc").write_text("s3cret")
        config = read(SOURCE + 'token_credential = "nyc"', CREDENTIALS_DIRECTORY=str(tmp_path))
        assert config.pop_feeds[0].sources[0].token == "s3cret"

    def test_are_shown_nowhere(self, read: Any) -> None:
        assert "s3cret" not in repr(read(SOURCE + 'token = "s3cret"'))

    def test_may_be_short(self, read: Any) -> None:
        assert read(SOURCE + 'token = "x"').pop_feeds[0].sources[0].token == "x"


def test_one_source_may_post_to_two_feeds_with_its_token(read: Any) -> None:
    second = '[feeds.b]\ntype = "pop"\nlisten = "127.0.0.1:8091"\n[feeds.b.sources.nyc]\ntoken = "one"\n'
    assert len(read(SOURCE + 'token = "one"\n' + second).pop_feeds) == 2


def test_port_0_and_another_transport_are_no_shared_address(read: Any) -> None:
    radius = '[feeds.r]\ntype = "radius-accounting"\nlisten = "127.0.0.1:8081"\n'
    free = '[ops]\nlisten = "127.0.0.1:0"\n[web]\nlisten = "127.0.0.1:0"\n'
    assert [(table, transport) for table, transport, _ in listeners(read(POPS + radius + free))] == [
        ("ops", "tcp"),
        ("web", "tcp"),
        ("feeds.pops", "tcp"),
        ("feeds.r", "udp"),
    ]


class TestTls:
    """tls_certificate, tls_key and tls_client_ca of a listener."""

    OPS = STORE + '[ops]\nlisten = "localhost:8443"\ntls_certificate = "site.pem"\n'

    def test_a_certificate_and_its_key_are_taken(self, read: Any, tmp_path: Path) -> None:
        (tmp_path / "site.pem").write_text(CERTIFICATE)
        (tmp_path / "key.pem").write_text(CERTIFICATE_KEY)
        tls = read(self.OPS + 'tls_key = "key.pem"').ops.listen.tls
        assert tls == Tls(tmp_path / "site.pem", tmp_path / "key.pem")
        assert tls.server_context().verify_mode is ssl.CERT_NONE

    def test_the_key_may_be_in_the_certificates_file_and_a_client_may_be_asked_for_its_own(
        self, read: Any, tmp_path: Path
    ) -> None:
        (tmp_path / "site.pem").write_text(CERTIFICATE + CERTIFICATE_KEY)
        tls = read(self.OPS + 'tls_client_ca = "site.pem"').ops.listen.tls
        assert tls.server_context().verify_mode is ssl.CERT_REQUIRED

    @pytest.mark.parametrize(
        ("more", "key"), [("", "ops.tls_certificate"), ('tls_key = "other.pem"', "ops.tls_certificate")]
    )
    def test_a_key_that_does_not_fit_is_refused(self, read: Any, tmp_path: Path, more: str, key: str) -> None:
        (tmp_path / "site.pem").write_text(CERTIFICATE)
        (tmp_path / "other.pem").write_text(OTHER_KEY)
        with pytest.raises(
            ConfigError, match="give a PEM certificate, and in tls_key the unencrypted PEM key"
        ) as refusal:
            read(self.OPS + more)
        assert refusal.value.key == key

    def test_authorities_that_are_none_are_refused(self, read: Any, tmp_path: Path) -> None:
        (tmp_path / "site.pem").write_text(CERTIFICATE + CERTIFICATE_KEY)
        with pytest.raises(ConfigError, match="give the authorities' PEM certificates"):
            read(self.OPS + 'tls_client_ca = "site.toml"')


REFUSED = [
    # the file
    ("", "store", "is missing; add a table [store] with url = "),
    ("[store\n", "", "is not TOML: Expected ']' at the end of a table declaration at line 1, column 7"),
    ('[store]\nurl = "x', "", "is not TOML: Unterminated string at line 2, column 9"),
    (STORE + STORE, "", "is not TOML: Cannot declare ('store',) twice at line 3, column 7"),
    (POPS + "[feeds.pops]\n", "", "is not TOML: Cannot declare ('feeds', 'pops') twice at line 6"),
    # keys
    (STORE + "retention_month = 1", "store.retention_month", "unknown key; did you mean retention_months?"),
    (STORE + "zebra = 1", "store.zebra", "unknown key; remove it; the table takes url, retention_months"),
    (STORE + "[op]\nlisten = 1", "op", "unknown key; did you mean ops?"),
    (STORE + '[ops]\nlisten_on = "[::1]:1"', "ops.listen_on", "did you mean listen?"),
    (STORE + '"a\\nb" = 1', 'store."a\\nb"', "unknown key"),
    (STORE + "[ops]\n", "ops.listen", 'is missing; add listen = "127.0.0.1:8082" under [ops]'),
    ("store = 5", "store", "must be a table, not an integer; write [store]"),
    (STORE + "[[ops]]", "ops", "must be a table, not an array"),
    # kinds
    ("[store]\nurl = 5", "store.url", "must be a string, not an integer; write url = "),
    ("[store]\nurl = 2026-01-01", "store.url", "must be a string, not a date or time"),
    (STORE + "retention_months = true", "store.retention_months", "must be a whole number, not a boolean; write"),
    (STORE + "retention_months = 1.0", "store.retention_months", "must be a whole number, not a float"),
    (STORE + "retention_months = -1", "store.retention_months", "must be from 0 to 1_200, not -1"),
    (STORE + "commit_records = 0", "store.commit_records", "a whole number from 1 to 100_000"),
    (POPS + "max_queue_records = 15_999", "feeds.pops.max_queue_records", "must be from 16_000"),
    (POPS + "max_body_bytes = 5", "feeds.pops.max_body_bytes", "must be from 1_000"),
    (
        POPS + "read_timeout = 30",
        "feeds.pops.read_timeout",
        'must be a duration, not an integer; write read_timeout = "',
    ),
    (POPS + 'read_timeout = "30"', "feeds.pops.read_timeout", '"30" is no duration; write read_timeout = "30s"'),
    (POPS + 'read_timeout = "2h"', "feeds.pops.read_timeout", "must be from 1s to 1h, not 2h"),
    (
        STORE + '[web]\nlisten = "[::1]:1"\nsecure_cookies = 1',
        "web.secure_cookies",
        "must be true or false, not an int",
    ),
    # the store
    ('[store]\nurl = ""', "store.url", "must not be empty; write url = "),
    ('[store]\nurl = "tollkeeper.db"', "store.url", "is no URL of a store; write url = "),
    ('[store]\nurl = "sqlite://tollkeeper.db"', "store.url", "three slashes and a path relative to this file"),
    ('[store]\nurl = "sqlite:///:memory:"', "store.url", "must be a plain file"),
    ('[store]\nurl = "sqlite:////tmp"', "store.url", "/tmp is a directory; name a file in it"),
    ('[store]\nurl = "postgresql://me:pw@h/db"', "store.url", "this version has the SQLite store only; write url = "),
    # listeners
    (STORE + '[ops]\nlisten = "8082"', "ops.listen", '"8082" is not HOST:PORT with a port from 0 to 65535'),
    (STORE + '[ops]\nlisten = ":8082"', "ops.listen", "is not HOST:PORT"),
    (STORE + '[ops]\nlisten = "h:65536"', "ops.listen", "is not HOST:PORT"),
    (STORE + '[ops]\nlisten = "::1:80"', "ops.listen", 'without brackets; write "[::1]:80"'),
    (STORE + '[ops]\nlisten = "[::g]:80"', "ops.listen", "is no IPv6 address"),
    (STORE + '[ops]\nlisten = "127.0.0.256:80"', "ops.listen", "is no host name or address"),
    (STORE + '[ops]\ntls_key = "k.pem"', "ops.listen", "is missing; add listen = "),
    (STORE + '[ops]\nlisten = "h:1"\ntls_key = "site.toml"', "ops.tls_certificate", "is missing; add tls_certificate"),
    (
        STORE + '[ops]\nlisten = "h:1"\ntls_certificate = "no.pem"',
        "ops.tls_certificate",
        "that can be read; give the path",
    ),
    (STORE + '[ops]\nlisten = "h:1"\ntls_certificate = 7', "ops.tls_certificate", 'write tls_certificate = "FILE.pem"'),
    (STORE + '[ops]\nlisten = "h:1"\ntls_certificate = "site.toml"', "ops.tls_certificate", "give a PEM certificate"),
    (POPS + '[ops]\nlisten = "127.0.0.1:8081"', "feeds.pops.listen", "is taken by ops.listen (127.0.0.1:8081); give"),
    (POPS + '[ops]\nlisten = "0.0.0.0:8081"', "feeds.pops.listen", "is taken by ops.listen (0.0.0.0:8081)"),
    (STORE + '[web]\nlisten = "0.0.0.0:8080"\nsecure_cookies = false', "web.secure_cookies", "plain HTTP on loopback"),
    # feeds
    (STORE + "[feeds.x]", "feeds.x.type", "is missing; add type = one of pop, files, http, radius-accounting"),
    (STORE + '[feeds.x]\ntype = "popp"', "feeds.x.type", 'unknown type "popp"; did you mean "pop"?'),
    (STORE + "[feeds.x]\ntype = 1", "feeds.x.type", "must be a string, not an integer"),
    (STORE + "[feeds]\nx = 1", "feeds.x", "must be a table, not an integer; write [feeds.x]"),
    (STORE + '[feeds." x"]\ntype = "pop"', 'feeds." x"', "unusable name; take 1 to 100 printable characters"),
    (STORE + '[feeds.""]\ntype = "pop"', "feeds", "unusable name"),
    (
        STORE + '[feeds.x]\ntype = "files"\nsource = "s"\ndirectory = "site.toml"',
        "feeds.x.directory",
        "is not a directory",
    ),
    (
        STORE + '[feeds.x]\ntype = "files"\nsource = "s"\ndirectory = "d"\nformat = "asterisk"',
        "feeds.x.format",
        'unknown format "asterisk"; did you mean "asterisk-csv"? it is one of ndjson, asterisk-csv, kamailio-json',
    ),
    (
        STORE
        + '[feeds.x]\ntype = "files"\nsource = "s"\ndirectory = "d"\nformat = "ndjson"\ntimezone = "Europe/Lodon"',
        "feeds.x.timezone",
        'unknown time zone "Europe/Lodon"; did you mean "Europe/London"?',
    ),
    (
        STORE + '[feeds.x]\ntype = "files"\nsource = "s"\ndirectory = "d"\nformat = "ndjson"\ntimezone = "../zone"',
        "feeds.x.timezone",
        "unknown time zone",
    ),
    (
        STORE + '[feeds.x]\ntype = "http"\nsource = "s"\nlisten = "h:1"\npath = "cdr"\nformat = "ndjson"',
        "feeds.x.path",
        '"cdr" is no path; write path = "/cdr"',
    ),
    (
        STORE + '[feeds.x]\ntype = "radius-accounting"\nlisten = "h:1"\n[feeds.x.clients.n]\naddress = "10.0.0.1/8"',
        "feeds.x.clients.n.address",
        "has host bits set",
    ),
    (
        STORE
        + '[feeds.x]\ntype = "radius-accounting"\nlisten = "h:1"\n'
        + '[feeds.x.clients.a]\naddress = "10.0.0.1"\nsecret = "x"\n'
        + '[feeds.x.clients.b]\naddress = "10.0.0.1/32"\nsecret = "y"\n',
        "feeds.x.clients",
        "clients a and b have one address",
    ),
    # secrets
    (SOURCE, "feeds.pops.sources.nyc.token", 'is missing; add token = "…", token_file = "PATH" or token_credential'),
    (SOURCE + 'token = ""', "feeds.pops.sources.nyc.token", "must not be empty"),
    (SOURCE + "token = 7", "feeds.pops.sources.nyc.token", "must be a string, not an integer"),
    (SOURCE + 'token = "a\\nb"', "feeds.pops.sources.nyc.token", "must be one line"),
    (SOURCE + 'token = "a"\ntoken_file = "b"', "feeds.pops.sources.nyc.token", "token, token_file are given together"),
    (SOURCE + 'token_file = "gone"', "feeds.pops.sources.nyc.token_file", "gone (no such file or directory); make it"),
    (SOURCE + 'token_file = "."', "feeds.pops.sources.nyc.token_file", "(is a directory)"),
    (SOURCE + 'token_file = ""', "feeds.pops.sources.nyc.token_file", "must not be empty"),
    (SOURCE + 'token_credential = "nyc"', "feeds.pops.sources.nyc.token_credential", "LoadCredential=nyc:PATH"),
    (SOURCE + 'token_credential = "../nyc"', "feeds.pops.sources.nyc.token_credential", "not a path; write token_file"),
    (
        SOURCE + 'token = "same"\n[feeds.pops.sources.sfo]\ntoken = "same"',
        "feeds.pops.sources.sfo.token",
        "is the token of source nyc too; give each source its own",
    ),
    # switches
    (STORE + "[switches.s]", "switches.s.driver", "is missing; add driver = one of kamailio, radius"),
    (STORE + '[switches.s]\ndriver = "kamalio"', "switches.s.driver", 'did you mean "kamailio"?'),
    (STORE + '[switches.s]\ndriver = "kamailio"', "switches.s.url", "is missing; add url, which the driver kamailio"),
    (STORE + '[switches.s]\ndriver = "kamailio"\nurl = "ftp://x"', "switches.s.url", "JSON-RPC over HTTP; write http"),
    (STORE + '[web]\nlisten = "h:1"\npublic_url = "ftp://x"', "web.public_url", "is no address of pages; write http"),
    (STORE + '[switches.s]\ndriver = "kamailio"\nurl = "h:80"', "switches.s.url", "is no URL with a scheme and a host"),
    (STORE + '[switches.s]\ndriver = "radius"\naddress = "h:1"', "switches.s.secret", "which the driver radius needs"),
    (STORE + '[switches.s]\ndriver = "radius"\naddress = "h:0"', "switches.s.address", "has port 0"),
    (STORE + '[switches.s]\ndriver = "tl1"', "switches.s", "has neither url nor address; add"),
    # mail and control
    (STORE + '[mail]\nsmtp = "h:25"', "mail.from", 'is missing; add from = "billing@provider.example" under [mail]'),
    (STORE + '[mail]\nsmtp = "h:25"\nfrom = "me"', "mail.from", '"me" is no e-mail address'),
    (
        STORE + '[mail]\nsmtp = "h:25"\nfrom = "a@b"\nuser = "u"',
        "mail.password",
        "is missing; add password, or remove user",
    ),
    (STORE + '[mail]\nsmtp = "h:25"\nfrom = "a@b"\ntls = "ssl"', "mail.tls", "it is one of none, starttls, implicit"),
    (STORE + '[control]\nbreaker = { orders = 20, par = "10m" }', "control.breaker.par", "did you mean per?"),
    (STORE + "[control]\nbreaker = 20", "control.breaker", "must be a table, not an integer"),
    # billing
    (STORE + '[billing]\nletterhead = ["Harbour Street"]', "billing.provider_name", "is missing; add provider_name"),
    (STORE + '[billing]\nprovider_name = "A\\nB"', "billing.provider_name", "is not one line of printable text"),
    (STORE + f'[billing]\nprovider_name = "{"x" * 71}"', "billing.provider_name", "has 71 characters; write 70 at"),
    (STORE + '[billing]\nprovider_name = " "', "billing.provider_name", "must not be empty; write provider_name = "),
    (STORE + '[billing]\nletterhead = "Street"', "billing.letterhead", 'write letterhead = ["12 Harbour Street"'),
    (STORE + '[billing]\nletterhead = ["Street", 7]', "billing.letterhead", "must be a string, not an integer"),
    (STORE + f"[billing]\nletterhead = {['x'] * 9}", "billing.letterhead", "has 9 lines; write 8 at most"),
    (STORE + "[billing]\nscheduled = 0", "billing.scheduled", "must be true or false"),
]


@pytest.mark.parametrize(("text", "key", "words"), REFUSED)
def test_a_refusal_names_file_key_and_remedy_in_one_line(read: Any, text: str, key: str, words: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        read(text)
    line = str(refusal.value)
    assert "/site.toml: " in line
    assert refusal.value.key == key
    assert words in line
    assert "; " in line
    assert "\n" not in line


def test_no_value_of_any_key_gets_past_as_another_error() -> None:
    odd: tuple[Any, ...] = (
        True,
        0,
        -1,
        10**30,
        1.5,
        float("nan"),
        "",
        " ",
        "\0",
        "\n",
        "é",
        "x" * 500,
        [],
        ["x"],
        {},
        {"x": 1},
        date.min,
    )
    tried = 0
    for path in _leaves(tomllib.loads(CONTRACT)):
        for value in odd:
            values = tomllib.loads(CONTRACT)
            table = values
            for name in path[:-1]:
                table = table[name]
            table[path[-1]] = value
            with suppress(ConfigError):
                read_section(Config, Table(Path("site.toml"), {}, values), file=Path("site.toml"))
            tried += 1
    assert tried > 400


def _leaves(table: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in table.items():
        yield (*path, name)
        if isinstance(value, dict):
            yield from _leaves(value, (*path, name))


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "9" * 5000])
def test_what_python_cannot_parse_is_refused_too(read: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=r"is nested too deeply|is not TOML"):
        read(text)


def test_a_refusal_shows_no_password(read: Any) -> None:
    with pytest.raises(ConfigError) as refusal:
        read('[store]\nurl = "postgresql://me:pa55@h/db"')
    assert "pa55" not in str(refusal.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: None, "there is no such file; create it, or name another with --config"),
        (lambda path: path.mkdir(), "is a directory; name the TOML file in it"),
        (
            lambda path: path.write_bytes(b"[store]\nurl = '\xff'"),
            "is not UTF-8 at line 2, column 8; save it as UTF-8, which TOML is",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, make: Any, words: str) -> None:
    path = tmp_path / "site.toml"
    make(path)
    with pytest.raises(ConfigError) as refusal:
        read_config(path, {})
    assert str(refusal.value) == f"{path}: {words}"


def test_a_secret_file_that_is_no_line_of_text_is_refused(read: Any, tmp_path: Path) -> None:
    for content, words in ((b"\xff", "is not UTF-8 text"), (b"a" * 70_000, "is too long"), (b"a\nb\n", "one line")):
        (tmp_path / "token").write_bytes(content)
        with pytest.raises(ConfigError, match=words):
            read(SOURCE + 'token_file = "token"')
