"""A file cut into chunks of lines: always the same ones, so that a chunk has a place in its file that can be taken.

Everything here blocks, and is called in threads. Memory is bounded, whatever the file holds.
"""

import gzip
import io
import os
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import IO, Final, cast

import msgspec

from mediation.formats.unreadable import MAX_LINE

LINES_A_CHUNK: Final = 1_000
BYTES_A_CHUNK: Final = 1_000_000
"""A chunk ends with the line that reaches either."""
LINE_KEPT: Final = 1_000_000
"""Bytes of a line that are kept. What goes on after them is no record of any format: it is suspended with its first
bytes, its length and its digest, by which it is known again."""
_PIECE: Final = 1 << 18

NOT_GZIP: Final = (EOFError, gzip.BadGzipFile, zlib.error)
"""What reading raises for a file that is cut, or no gzip."""


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """Some lines of a file."""

    sequence: int
    """Counts the file's chunks from 1."""
    lines: list[bytes]
    """Without their ends."""
    digest: bytes
    """Of the chunk's bytes."""


def is_packed(path: Path) -> bool:
    """Whether a file is gzip, by its name."""
    return path.name.lower().endswith(".gz")


def chunks_of(path: Path) -> Generator[Chunk, None, None]:
    """The chunks of a file, unpacked where it is gzip. Raises OSError, and NOT_GZIP."""
    with _opened(path) as stream:
        yield from cut(stream)


def cut(stream: IO[bytes]) -> Iterator[Chunk]:
    """The chunks of what a stream holds."""
    sequence = 0
    while True:
        sequence += 1
        lines: list[bytes] = []
        size = 0
        digest = blake2b(digest_size=16)
        while len(lines) < LINES_A_CHUNK and size < BYTES_A_CHUNK:
            piece = stream.readline(LINE_KEPT)
            if not piece:
                break
            digest.update(piece)
            size += len(piece)
            if len(piece) == LINE_KEPT and not piece.endswith(b"\n"):
                piece = _read_over(stream, piece, digest)
            lines.append(piece.removesuffix(b"\n"))
        if not lines:
            return
        yield Chunk(sequence, lines, digest.digest())


def _read_over(stream: IO[bytes], kept: bytes, chunk_digest: blake2b) -> bytes:
    """Read a line to its end whose beginning is enough; what is kept of it."""
    digest = blake2b(kept, digest_size=16)
    length = len(kept)
    while piece := stream.readline(_PIECE):
        chunk_digest.update(piece)
        rest = piece.removesuffix(b"\n")
        digest.update(rest)
        length += len(rest)
        if len(rest) < len(piece):
            break
    if length == len(kept):
        return kept
    return kept + f" … cut here: the line is {length} bytes long, its BLAKE2b is {digest.hexdigest()}".encode()


def last_line(path: Path) -> bytes | None:
    """What stands after the last line end of a plain file, blanks aside; None: more than any record is long."""
    with _opened(path) as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - MAX_LINE - 1))
        tail = stream.read(MAX_LINE + 1)
    _, end, line = tail.rpartition(b"\n")
    return None if not end and len(tail) > MAX_LINE else line.strip()


def unpacks(path: Path, is_stopped: Callable[[], bool]) -> bool:
    """Whether a gzip file is there to its end; it may have several members. Raises OSError, of which InterruptedError
    when `is_stopped` before that is known: a large file takes minutes."""
    try:
        with _opened(path) as stream:
            if not stream.read(1):
                return path.stat().st_size > 0  # gzip of nothing is something, a file of 0 bytes is still to come
            while stream.read(_PIECE):
                if is_stopped():
                    raise InterruptedError
    except NOT_GZIP:
        return False
    return True


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A file that is no link and does not block, such as a FIFO that took its place; unpacked where it is gzip."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", _PIECE) as file:
        if not is_packed(path):
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            # GzipFile is called through Python for every line, a BufferedReader is not.
            yield io.BufferedReader(cast(io.RawIOBase, unpacked), _PIECE)
