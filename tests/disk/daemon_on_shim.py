"""`tollkeeper serve` with other pragmas than its own, so that a short run sees what a long one does, or fails as it
must: `python -m tests.disk.daemon_on_shim SYNCHRONOUS CHECKPOINT_PAGES KEYS_IN_MEMORY serve …`."""

import sys

from mediation.cli import main
from rating.store import natural_keys, sqlite, write_ahead_log
from rating.store.connection import PAGE_BYTES

if __name__ == "__main__":
    synchronous, pages, keys, *arguments = sys.argv[1:]
    sqlite.WRITER_PRAGMAS = tuple(  # type: ignore[misc]  # Final everywhere else
        f"PRAGMA synchronous = {synchronous}" if " synchronous " in pragma else pragma
        for pragma in sqlite.WRITER_PRAGMAS
    )
    write_ahead_log.WAL_BYTES = int(pages) * PAGE_BYTES  # type: ignore[misc]  # likewise
    natural_keys.IN_MEMORY = int(keys)  # type: ignore[misc]  # likewise
    sys.exit(main(arguments))
