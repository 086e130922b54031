"""A process in front of the seam: it decodes, guides and rates what the daemon hands it, by what is provisioned.

Started by the daemon (`fronts`), never by people: `python -m mediation.front_process DESCRIPTOR`. It ends when the
daemon does.
"""

import contextlib
import gc
import signal
import socket
import sys
from pathlib import Path

from mediation.directory_builder import DirectoryBuilder
from mediation.formats.source_formats import SourceFormats
from mediation.pipeline.front import Front
from mediation.pipeline.seam import Follow, Followed, OtherSide, Piece, Prepared, prepared_of
from rating.directory import Directory
from rating.store.errors import StoreError
from rating.store.provisioning import at_one_moment, provisioned_to_guide
from rating.store.read_only import connect_reader
from rating.tariff import TariffError


def main() -> None:
    """Answer the daemon on the socket that it passed, until it closes it."""
    # What a terminal or a service manager sends to all processes of a group is meant for the daemon: it drains first.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        problem = serve(OtherSide(connection))
    sys.exit(problem)


def serve(daemon: OtherSide) -> str | None:
    """Answer every message, in order, until there is nobody any more who asks, or nothing to rate by: why, in words."""
    builder = DirectoryBuilder(None)
    front = Front(Directory())
    formats = SourceFormats()
    while (message := daemon.next()) is not None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if isinstance(message, Follow):
                followed = _follow(message, builder, front, formats)
                daemon.answer(followed)
                if followed.problem is not None:
                    return followed.problem
            else:
                daemon.answer(_prepare(message, front, formats))
    return None


def _follow(follow: Follow, builder: DirectoryBuilder, front: Front, formats: SourceFormats) -> Followed:
    """If there is a problem, there is no directory any more."""
    try:
        with contextlib.closing(connect_reader(Path(follow.store))) as cx:
            builder.use_default_tariff(follow.default_tariff)
            gc.unfreeze()
            front.directory = Directory()  # nothing is asked meanwhile, and two would take twice the memory
            with at_one_moment(cx):
                front.directory = builder.build(provisioned_to_guide(cx))
    except (StoreError, TariffError) as error:
        return Followed(str(error))
    front.oldest_at = follow.oldest_at
    formats.use_plans(follow.plans)
    gc.collect()
    gc.freeze()  # the directory stays until the next import: nothing to look for in it
    gc.disable()  # batches are no cycles, and go by their reference counts
    return Followed()


def _prepare(piece: Piece, front: Front, formats: SourceFormats) -> Prepared:
    maker = front.begin(piece.source, piece.source_id, piece.arrived_at, None, piece.format, piece.feed)
    maker.add(piece.lines.split(b"\n"), formats.parser(piece.format, piece.source))
    return prepared_of(maker, piece.first_line)


if __name__ == "__main__":
    main()
