"""Slows down who fails: a delay that grows with each failure, by key. In memory, and bounded."""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

MICROS: Final = 1_000_000
KEYS: Final = 10_000
FORGOTTEN_AFTER_US: Final = 3600 * MICROS
"""A key that has not failed for so long starts afresh."""
_V6_SITE: Final = 64
"""Bits of an IPv6 address that tell a customer from another; the rest they choose themselves."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How the delay grows."""

    free: int
    """Failures without a delay; each further one doubles it, from a second on."""
    longest_s: int


BY_NAME: Final = Pace(free=3, longest_s=60)
"""A longer delay would let anybody lock anybody out."""
BY_CLIENT: Final = Pace(free=20, longest_s=900)
"""Many people may sit behind one address."""


class Throttle:
    """The failures of each key, at one pace."""

    def __init__(self, pace: Pace, most_keys: int = KEYS) -> None:
        self._pace = pace
        self._most_keys = most_keys
        self._failures: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """Number of failures and the last one's instant, the latest at the end."""

    def wait_s(self, key: str, now: int) -> int:
        """Whole seconds until the key may try again; 0 is now."""
        failures, last_at = self._of(key, now)
        over = failures - self._pace.free
        if over <= 0:
            return 0
        delay_s = min(self._pace.longest_s, 1 << min(over - 1, 30))
        return max(0, -(-(last_at + delay_s * MICROS - now) // MICROS))

    def failed(self, key: str, now: int) -> None:
        """Count a failure."""
        failures, _ = self._of(key, now)
        self._failures[key] = (failures + 1, now)
        self._failures.move_to_end(key)
        while len(self._failures) > self._most_keys:
            self._failures.popitem(last=False)

    def take_back(self, key: str) -> None:
        """A failure that was counted was none."""
        failures, last_at = self._failures.get(key, (0, 0))
        if failures > 1:
            self._failures[key] = (failures - 1, last_at)
        else:
            self._failures.pop(key, None)

    def forget(self, key: str) -> None:
        """Start the key afresh."""
        self._failures.pop(key, None)

    def __len__(self) -> int:
        return len(self._failures)

    def _of(self, key: str, now: int) -> tuple[int, int]:
        failures, last_at = self._failures.get(key, (0, now))
        return (0, now) if now - last_at > FORGOTTEN_AFTER_US else (failures, last_at)


class SignInThrottle:
    """By name, so that one user's password is not guessed; by client, so that one guesser does not try every user."""

    def __init__(self) -> None:
        self._names = Throttle(BY_NAME)
        self._clients = Throttle(BY_CLIENT)

    def wait_s(self, name: str, client: str, now: int) -> int:
        """Whole seconds until this client may try this name again; 0 is now."""
        return max(self._names.wait_s(name, now), self._clients.wait_s(client_key(client), now))

    def attempt(self, name: str, client: str, now: int) -> None:
        """Count an attempt as failed, until it is known better: else many at once would all be let through."""
        self._names.failed(name, now)
        self._clients.failed(client_key(client), now)

    def succeeded(self, name: str, client: str) -> None:
        """The attempt was none of a guesser. The client's other failures stay: they were other users' perhaps."""
        self._names.forget(name)
        self._clients.take_back(client_key(client))

    def undecided(self, name: str, client: str) -> None:
        """The attempt was not looked at."""
        self._names.take_back(name)
        self._clients.take_back(client_key(client))

    def fresh(self, name: str) -> None:
        """The name has another password: what was tried before does not count."""
        self._names.forget(name)


def client_key(client: str) -> str:
    """An IPv6 client by its network; any other as it is."""
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if not isinstance(address, IPv6Address):
        return client
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return f"{int(address) >> (128 - _V6_SITE):x}::/{_V6_SITE}"
