"""Whether somebody has a file open for writing, as the kernel knows it."""

import fcntl
import os
import signal
from pathlib import Path


def is_open_for_writing(path: Path) -> bool | None:
    """Whether any process has the file open for writing; None where the kernel does not tell (a file system without
    leases, another system than Linux, a file of another user's without CAP_LEASE). Raises OSError for a file that
    cannot be opened.

    A read lease is granted only while nobody has the file open for writing (fcntl(2), F_SETLEASE). Who opens it in the
    moment in which we hold one waits until we let go, and we are sent a signal: by default SIGIO, which would end the
    process, so that one is asked for that nobody minds.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not hasattr(fcntl, "F_SETLEASE"):
            return None
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False
