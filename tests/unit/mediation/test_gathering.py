"""When a commit is put off for more, and when it is not."""

from contextlib import ExitStack

import pytest

from mediation.pipeline.gathering import ENOUGH, MOST_S, Gathering


@pytest.mark.parametrize(
    ("waiting", "coming", "worth_while"),
    [
        (1, 0, True),  # nothing else is about to come
        (500, 500, True),  # half of what is on its way
        (500, 501, False),
        (0, 1, False),
        (ENOUGH - 1, 10 * ENOUGH, False),
        (ENOUGH, 10 * ENOUGH, True),
    ],
)
def test_a_commit_is_put_off_while_more_is_being_prepared_than_waits(
    waiting: int, coming: int, worth_while: bool
) -> None:
    gathering = Gathering(lambda: 0.0)
    with gathering.preparing(coming):
        assert gathering.worth_while(lambda: waiting)() is worth_while
    assert gathering.worth_while(lambda: waiting)()  # it has come to nothing


def test_no_commit_is_put_off_for_long() -> None:
    now = 100.0
    gathering = Gathering(lambda: now)
    with gathering.preparing(500):
        is_so = gathering.worth_while(lambda: 1)
        now = 200.0  # it counts from the first time that it is asked
        assert not is_so()
        now = 200.0 + MOST_S - 0.001
        assert not is_so()
        now = 200.0 + MOST_S
        assert is_so()


def test_what_waits_and_what_comes_is_looked_at_each_time() -> None:
    gathering, waiting = Gathering(lambda: 0.0), [100]
    is_so = gathering.worth_while(lambda: waiting[0])
    with ExitStack() as coming:
        coming.enter_context(gathering.preparing(60))
        coming.enter_context(gathering.preparing(60))
        assert not is_so()
        waiting[0] = 120
        assert is_so()


def test_no_more_is_waited_for_than_a_commit_may_have() -> None:
    gathering = Gathering(lambda: 0.0)
    with gathering.preparing(1_000):
        assert not gathering.worth_while(lambda: 10)()
        assert gathering.worth_while(lambda: 10, most=10)()


def test_what_fails_is_no_longer_about_to_come() -> None:
    gathering = Gathering(lambda: 0.0)
    with pytest.raises(ZeroDivisionError), gathering.preparing(1_000):
        raise ZeroDivisionError
    assert gathering.worth_while(lambda: 1)()
