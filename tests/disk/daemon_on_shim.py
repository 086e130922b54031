"""The daemon, set so that a short run on a disk that is looked at (see shim.c) has all that a long one does, or fails
as it must: `python -m tests.disk.daemon_on_shim SYNCHRONOUS CHECKPOINT_PAGES KEYS_IN_MEMORY serve …`. With `nursery FD`
in place of `serve …` it forks daemons for who is at the other end (see nursery.py)."""

import ctypes
import json
import os
import socket
import sys

from mediation.cli import main, serve
from rating.store import natural_keys, sqlite, write_ahead_log
from rating.store.connection import PAGE_BYTES


def bear(nursery: socket.socket) -> int:
    """One daemon after the other, until nobody wants them any more. In a daemon: its exit status."""
    assert serve, "what a daemon needs is loaded"
    while True:
        asked, fds, _, _ = socket.recv_fds(nursery, 65_536, 1)
        if not asked:
            return 0
        pid = os.fork()
        if not pid:
            nursery.close()
            os.dup2(fds[0], sys.stderr.fileno())
            os.close(fds[0])
            fail, *arguments = json.loads(asked)
            if fail:
                ctypes.CDLL(None).disk_shim_aim(fail.encode())
            return main(arguments)
        os.close(fds[0])
        nursery.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        nursery.send(str(os.waitstatus_to_exitcode(status)).encode())


if __name__ == "__main__":
    synchronous, pages, keys, *arguments = sys.argv[1:]
    sqlite.WRITER_PRAGMAS = tuple(  # type: ignore[misc]  # Final everywhere else
        f"PRAGMA synchronous = {synchronous}" if " synchronous " in pragma else pragma
        for pragma in sqlite.WRITER_PRAGMAS
    )
    write_ahead_log.WAL_BYTES = int(pages) * PAGE_BYTES  # type: ignore[misc]  # likewise
    natural_keys.IN_MEMORY = int(keys)  # type: ignore[misc]  # likewise
    if arguments[0] == "nursery":
        sys.exit(bear(socket.socket(fileno=int(arguments[1]))))
    sys.exit(main(arguments))
