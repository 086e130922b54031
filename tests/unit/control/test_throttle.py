"""The delay after failures: growing, bounded, forgotten; by name and by client."""

import pytest

from control.users.throttle import (
    BY_CLIENT,
    BY_NAME,
    FORGOTTEN_AFTER_US,
    MICROS,
    Pace,
    SignInThrottle,
    Throttle,
    client_key,
)

NOW = 1_800_000_000 * MICROS


def failed(times: int, pace: Pace) -> Throttle:
    throttle = Throttle(pace)
    for _ in range(times):
        throttle.failed("ada", NOW)
    return throttle


@pytest.mark.parametrize(
    ("failures", "wait_s"), [(0, 0), (1, 0), (3, 0), (4, 1), (5, 2), (6, 4), (9, 32), (10, 60), (500, 60)]
)
def test_the_delay_doubles_up_to_the_longest(failures: int, wait_s: int) -> None:
    assert failed(failures, Pace(free=3, longest_s=60)).wait_s("ada", NOW) == wait_s


def test_the_delay_runs_off_and_rounds_up() -> None:
    throttle = failed(6, Pace(free=3, longest_s=60))
    assert [throttle.wait_s("ada", NOW + us) for us in (1, MICROS, 3_999_999, 4 * MICROS, 9 * MICROS)] == [
        4,
        3,
        1,
        0,
        0,
    ]


def test_a_key_that_was_quiet_long_enough_starts_afresh() -> None:
    throttle = failed(50, Pace(free=3, longest_s=60))
    later = NOW + FORGOTTEN_AFTER_US + 1
    throttle.failed("ada", later)
    assert throttle.wait_s("ada", later) == 0


def test_keys_are_apart_and_the_longest_quiet_go_first() -> None:
    throttle = Throttle(Pace(free=0, longest_s=60), most_keys=3)
    for key in ("a", "b", "c", "a", "d"):
        throttle.failed(key, NOW)
    assert len(throttle) == 3
    assert [throttle.wait_s(key, NOW) for key in "abcd"] == [2, 0, 1, 1]


def test_one_client_does_not_try_name_after_name() -> None:
    throttle = SignInThrottle()
    for n in range(BY_CLIENT.free + 1):
        assert throttle.wait_s(f"user {n}", "192.0.2.1", NOW) == 0
        throttle.attempt(f"user {n}", "192.0.2.1", NOW)
    assert throttle.wait_s("ada", "192.0.2.1", NOW) == 1
    assert throttle.wait_s("ada", "192.0.2.2", NOW) == 0


def test_one_name_is_not_tried_from_client_after_client() -> None:
    throttle = SignInThrottle()
    for n in range(BY_NAME.free + 1):
        throttle.attempt("ada", f"192.0.2.{n}", NOW)
    assert throttle.wait_s("ada", "198.51.100.1", NOW) == 1
    assert throttle.wait_s("bob", "192.0.2.1", NOW) == 0


def test_an_own_success_does_not_clear_a_clients_failures_with_others() -> None:
    throttle = SignInThrottle()
    for n in range(BY_CLIENT.free + 1):
        throttle.attempt(f"user {n}", "192.0.2.1", NOW)
        throttle.attempt("mallory", "192.0.2.1", NOW)
        throttle.succeeded("mallory", "192.0.2.1")
    assert throttle.wait_s("ada", "192.0.2.1", NOW) == 1


def test_what_was_not_looked_at_does_not_count() -> None:
    throttle = SignInThrottle()
    for _ in range(100):
        throttle.attempt("ada", "192.0.2.1", NOW)
        throttle.undecided("ada", "192.0.2.1")
    assert throttle.wait_s("ada", "192.0.2.1", NOW) == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("unix", "unix", True),
    ],
)
def test_who_has_a_network_is_one_client(one: str, other: str, same: bool) -> None:
    assert (client_key(one) == client_key(other)) is same
