"""Sessions in memory: found by digest, by number and by user, until they end."""

from control.users import Role, Session, User
from control.users.live_sessions import LiveSessions

ADA = User(1, "ada", Role.STAFF, None, None, 0, None)
BOB = User(2, "bob", Role.OPERATOR, None, None, 0, None)


def a_session(number: int, user: User = ADA, expires_at: int = 100) -> tuple[bytes, Session]:
    return bytes([number]), Session(number, user, 0, expires_at, "192.0.2.1")


def test_a_session_is_found_until_it_expires() -> None:
    digest, session = a_session(1)
    live = LiveSessions([(digest, session)])
    assert live.get(digest, 99) == session
    assert live.numbered(1, 99) == session
    assert live.get(b"another", 99) is None
    assert live.numbered(1, 100) is None
    assert live.get(digest, 100) is None
    assert len(live) == 0


def test_a_users_sessions_are_theirs_alone_the_oldest_first() -> None:
    live = LiveSessions([a_session(1), a_session(2, BOB), a_session(3), a_session(4, expires_at=50)])
    assert [session.id for session in live.of_user(ADA.id, 60)] == [1, 3]
    assert [session.id for session in live.of_user(BOB.id, 60)] == [2]
    assert live.of_user(3, 60) == []


def test_a_dropped_session_is_gone_and_dropping_it_twice_does_no_harm() -> None:
    digest, session = a_session(1)
    live = LiveSessions([(digest, session), a_session(2)])
    live.drop(session)
    live.drop(session)
    assert live.get(digest, 0) is None
    assert [session.id for session in live.of_user(ADA.id, 0)] == [2]


def test_what_nobody_asks_for_is_let_go_of() -> None:
    live = LiveSessions([a_session(1, expires_at=10), a_session(2)])
    live.drop_expired(10)
    assert len(live) == 1
