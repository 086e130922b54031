"""Live sessions, in memory."""

import msgspec

from access.sessions import LiveSession, LiveSessions, SessionKey

LINE = "12125550142"


def a_session(name: str, line: str | None = LINE, username: str | None = "bob", nas: str = "nas1") -> LiveSession:
    return LiveSession(SessionKey("kam1", nas, name), line, username, nas, None, "127.0.0.1", "nas1", 1, 1)


def names(sessions: list[LiveSession]) -> list[str]:
    return [session.key.session for session in sessions]


def test_sessions_are_found_by_line_and_user_name() -> None:
    live = LiveSessions([a_session("a"), a_session("b", line=None), a_session("c", username=None)])
    assert names(live.of_line(LINE)) == ["a", "c"]
    assert names(live.of_username("bob")) == ["a", "b"]
    assert sorted(names(live.of(LINE, "bob"))) == ["a", "b", "c"]
    assert names(live.of(LINE, None)) == ["a", "c"]
    assert live.of_line("1") == live.of_username("eve") == []
    assert len(live) == 3


def test_a_session_that_ended_is_found_nowhere() -> None:
    live = LiveSessions([a_session("a"), a_session("b")])
    ended = live.end(a_session("a").key)
    assert ended == a_session("a")
    assert live.end(a_session("a").key) is None
    assert names(live.of_line(LINE)) == names(live.of_username("bob")) == ["b"]
    assert live.get(a_session("a").key) is None


def test_a_session_told_of_again_moves_to_its_line_of_now() -> None:
    live = LiveSessions([a_session("a")])
    live.put(a_session("a", line="442079460018"))
    assert live.of_line(LINE) == []
    assert names(live.of_line("442079460018")) == ["a"]
    assert len(live) == 1


def test_what_a_nas_denied_counts_until_something_is_heard_of_it() -> None:
    live, key = LiveSessions([a_session("a")]), a_session("a").key
    assert not live.is_denied(key)
    live.deny(key)
    assert live.is_denied(key)
    live.put(a_session("a"))
    assert not live.is_denied(key)
    live.end(key)
    live.deny(key)
    assert not live.is_denied(key)


def test_sessions_of_a_nas_and_of_an_id() -> None:
    live = LiveSessions([a_session("a"), a_session("a", nas="nas2"), a_session("b")])
    assert live.of_nas("kam1", "nas1") == [a_session("a").key, a_session("b").key]
    assert live.called("kam1", "a") == [a_session("a").key, a_session("a", nas="nas2").key]
    assert live.called("kam2", "a") == []
    live.end(a_session("a").key)
    assert live.called("kam1", "a") == [a_session("a", nas="nas2").key]


def test_what_was_denied_is_remembered_with_what_was_heard_of_it_last() -> None:
    live = LiveSessions([a_session("a"), a_session("b")])
    live.deny(a_session("a").key)
    live.deny(a_session("gone").key)
    live.put(msgspec.structs.replace(a_session("b"), seen_at=9))
    live.deny(a_session("b").key)
    assert live.denied() == {a_session("a").key: 1, a_session("b").key: 9}
    live.end(a_session("a").key)
    assert live.denied() == {a_session("b").key: 9}


def test_a_switch_denies_the_sessions_of_a_line_that_are_its_own() -> None:
    other = SessionKey("kam2", "gw", "d")
    elsewhere = LiveSession(other, LINE, "bob", "gw", None, "127.0.0.1", "kam1", 1, 1)
    live = LiveSessions([a_session("a"), a_session("b", line="442079460018"), elsewhere])
    live.deny_of_line("kam2", LINE)
    assert live.denied().keys() == {other}
    live.deny_of_line("kam1", LINE)
    assert live.denied().keys() == {other, a_session("a").key}


def test_another_feed_of_a_source_denies_a_session_by_its_id_alone() -> None:
    live = LiveSessions([a_session("a"), a_session("b")])
    live.deny_called("kam2", "a")
    live.deny_called("kam1", "c")
    assert live.denied() == {}
    live.deny_called("kam1", "a")
    assert live.denied().keys() == {a_session("a").key}
