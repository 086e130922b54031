"""The heads of plain requests; what is not plain is left to the HTTP parser."""

import pytest

from mediation.feeds.heads import MOST_HEAD_BYTES, PlainHead, plain_head

POST = "POST /v1/transactions HTTP/1.1"


def sent(*lines: str) -> bytes:
    return "\r\n".join((*lines, "", "")).encode("latin-1")


@pytest.mark.parametrize(
    ("lines", "head"),
    [
        ((POST, "Host: pop", "Content-Length: 12"), ("POST /v1/transactions", "", False, 12)),
        (
            (POST, "authorization:Bearer a b ", "CONTENT-LENGTH:\t007 ", "X-Note:"),
            ("POST /v1/transactions", "Bearer a b", False, 7),
        ),
        (
            (POST, "Content-Length: 1", "Content-Encoding: gzip", "Connection: Keep-Alive"),
            ("POST /v1/transactions", "", True, 1),
        ),
        (("GET /v1/positions?x=%20 HTTP/1.1", "Host: pop"), ("GET /v1/positions?x=%20", "", False, 0)),
        (("GET / HTTP/1.1", "X-Content-Length: 5", "Note: Content-Length: 6"), ("GET /", "", False, 0)),
    ],
)
def test_a_plain_head_says_who_wants_what_and_how_much_follows(
    lines: tuple[str, ...], head: tuple[str, str, bool, int]
) -> None:
    target, authorization, packed, body_bytes = head
    whole = sent(*lines)
    expected = PlainHead(target.encode(), authorization, packed, body_bytes, len(whole))
    assert plain_head(whole, len(whole)) == expected
    assert plain_head(bytearray(whole + b"{}\n" * 9), len(whole) + 27) == expected


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param((POST, "Transfer-Encoding: chunked"), id="in chunks"),
        pytest.param((POST, "Content-Length: 5", "transfer-encoding: chunked"), id="of two lengths"),
        pytest.param((POST, "Content-Length: 5", "content-length: 5"), id="a length twice"),
        pytest.param((POST, "Content-Length: 5, 5"), id="a list of lengths"),
        pytest.param((POST, "Content-Length: +5"), id="a length with a sign"),
        pytest.param((POST, "Content-Length:"), id="an empty length"),
        pytest.param((POST, "Content-Length: 5", "Expect: 100-continue"), id="to be told to go on"),
        pytest.param(("GET /v1/stream HTTP/1.1", "Upgrade: websocket", "Connection: upgrade"), id="an upgrade"),
        pytest.param((POST, "Connection: close"), id="the last one"),
        pytest.param((POST, "Authorization: Bearer a", "Authorization: Bearer b"), id="two tokens"),
        pytest.param((POST, "X: 1", " Content-Length: 5"), id="a folded field"),
        pytest.param((POST, "Content-Length : 5"), id="a blank before the colon"),
        pytest.param((POST, "X: 1\nContent-Length: 5"), id="a bare LF"),
        pytest.param((POST, "X: 1\rContent-Length: 5"), id="a bare CR"),
        pytest.param((POST, "X: \0"), id="a NUL"),
        pytest.param((POST, "Authorization: Bearer \xe4"), id="not ASCII"),
        pytest.param((POST, "no colon"), id="no field"),
        pytest.param(("POST /v1/transactions HTTP/1.0", "Content-Length: 5"), id="an older version"),
        pytest.param(("POST http://pop/v1/transactions HTTP/1.1",), id="a whole URL"),
        pytest.param(("post /v1/transactions HTTP/1.1",), id="no method"),
        pytest.param((POST, f"X: {'x' * MOST_HEAD_BYTES}"), id="a long one"),
    ],
)
def test_what_is_not_plain_is_left_alone(lines: tuple[str, ...]) -> None:
    whole = sent(*lines)
    assert plain_head(whole, len(whole)) is None


def test_a_head_is_read_when_it_is_whole_and_not_from_what_an_earlier_one_left_behind() -> None:
    whole = sent(POST, "Content-Length: 5")
    assert [plain_head(whole, length) for length in range(len(whole))] == [None] * len(whole)
