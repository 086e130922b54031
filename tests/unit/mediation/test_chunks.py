"""A file is always cut into the same chunks, and nothing of it is left out."""

import io
import re

import pytest

from mediation.feeds import chunks
from mediation.feeds.chunks import BYTES_A_CHUNK, LINE_KEPT, LINES_A_CHUNK, Chunk, cut


def cut_up(data: bytes) -> list[Chunk]:
    return list(cut(io.BytesIO(data)))


def lines_of(data: bytes) -> list[bytes]:
    return [line for chunk in cut_up(data) for line in chunk.lines]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\r\nb\r\n", [b"a\r", b"b\r"]),
        (b"\n\na\n", [b"", b"", b"a"]),
        (b"\xff\x00\n\x0b\x0c\x1c\n", [b"\xff\x00", b"\x0b\x0c\x1c"]),
    ],
)
def test_a_line_ends_with_lf_and_nothing_else(data: bytes, lines: list[bytes]) -> None:
    assert lines_of(data) == lines


@pytest.mark.parametrize("count", [LINES_A_CHUNK - 1, LINES_A_CHUNK, LINES_A_CHUNK + 1, 3 * LINES_A_CHUNK])
def test_chunks_are_numbered_from_one_and_hold_every_line(count: int) -> None:
    made = cut_up(b"".join(b"%d\n" % n for n in range(count)))
    assert [chunk.sequence for chunk in made] == list(range(1, -(-count // LINES_A_CHUNK) + 1))
    assert [line for chunk in made for line in chunk.lines] == [b"%d" % n for n in range(count)]
    assert max(len(chunk.lines) for chunk in made) <= LINES_A_CHUNK


def test_long_lines_make_chunks_of_fewer_lines() -> None:
    line = b"x" * (BYTES_A_CHUNK // 4)
    assert [len(chunk.lines) for chunk in cut_up((line + b"\n") * 9)] == [4, 4, 1]


def test_the_same_bytes_have_the_same_digest_and_others_have_another() -> None:
    digests = [
        [chunk.digest for chunk in cut_up(data)] for data in (b"a\nb\n", b"a\nb\n", b"a\nb", b"a\r\nb\n", b"b\na\n")
    ]
    assert digests[0] == digests[1]
    assert len({digest for (digest,) in digests}) == 4


def test_what_follows_a_chunk_does_not_change_it() -> None:
    head = b"".join(b"%d\n" % n for n in range(LINES_A_CHUNK))
    assert cut_up(head)[0] == cut_up(head + b"more\n")[0]


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("over", [-1, 0])
def test_a_line_up_to_the_bound_is_kept_whole(over: int, end: bytes) -> None:
    line = b"x" * (LINE_KEPT + over)
    assert lines_of(line + end + b"" if not end else line + end + b"next\n") == [line, *([b"next"] if end else [])]


def test_a_line_over_the_bound_keeps_its_beginning_and_says_how_long_it_was() -> None:
    lines = lines_of(b"before\n" + b"x" * (2 * LINE_KEPT + 5) + b"\nafter\n")
    assert (lines[0], lines[2]) == (b"before", b"after")
    assert lines[1].startswith(b"x" * LINE_KEPT)
    assert f"{2 * LINE_KEPT + 5} bytes long".encode() in lines[1]
    assert len(lines[1]) < LINE_KEPT + 200


def test_lines_over_the_bound_that_begin_alike_are_told_apart() -> None:
    one, other = (lines_of(b"x" * LINE_KEPT + tail)[0] for tail in (b"1", b"2"))
    assert one != other
    assert re.sub(rb"BLAKE2b is .*", b"", one) == re.sub(rb"BLAKE2b is .*", b"", other)


def test_what_is_cut_off_a_line_still_counts_for_the_chunks_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "LINE_KEPT", 10)
    one, other = (cut_up(b"x" * 10 + tail + b"\n")[0] for tail in (b"1", b"2"))
    assert one.digest != other.digest
