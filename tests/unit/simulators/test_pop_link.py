"""What the POP reads in an answer, and where it cuts a body."""

import gzip

import pytest

from simulators.pop_link import Answer, LinkError, compressed, cut_short, read_answer, seconds_of

BODY = b'{"id":"1","duration":61}\n{"id":"2","duration":0}\n'


def test_an_answer_has_three_counts() -> None:
    answer = read_answer(200, b'{"accepted": 3, "duplicate": 2, "suspended": 1, "records": []}')
    assert answer == Answer(200, accepted=3, duplicate=2, suspended=1)
    assert answer.acknowledged == 6


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"{}", b'{"accepted": 1, "duplicate": 0}', b"\xff"])
def test_a_200_without_the_counts_answers_nothing(content: bytes) -> None:
    with pytest.raises(LinkError, match="has not the three counts"):
        read_answer(200, content)


def test_a_refusal_keeps_its_reason_and_its_wish() -> None:
    assert read_answer(503, b"busy \xff", 2.0) == Answer(503, retry_after_s=2.0, problem="busy �")


@pytest.mark.parametrize(
    ("header", "seconds"), [(None, None), ("", None), ("0", 0.0), ("2", 2.0), ("-1", 0.0), ("Fri, 20 Nov 2026", None)]
)
def test_retry_after_is_seconds_or_nothing(header: str | None, seconds: float | None) -> None:
    assert seconds_of(header) == seconds


def test_a_compressed_body_says_nothing_of_when_it_was_made() -> None:
    assert gzip.decompress(compressed(BODY)) == BODY
    assert compressed(BODY)[4:8] == bytes(4), "MTIME, RFC 1952, 2.3.1"


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_body_is_cut_inside_of_a_record(percent: int) -> None:
    part = cut_short(BODY, percent / 100)
    assert BODY.startswith(part)
    assert part
    assert not part.endswith((b"\n", b"}"))
