"""Runs a program under the unit's system call filter and without memory that is both writable and executable, as
systemd would: `under_filter.py UNIT PROGRAM ARGUMENT…`. Exit code 77: that cannot be done on this machine."""

import ctypes
import errno
import os
import subprocess
import sys
from pathlib import Path

CANNOT = 77
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_PR_SET_NO_NEW_PRIVS, _PR_SET_MDWE = 38, 65


def groups() -> dict[str, list[str]]:
    """systemd's groups of system calls: @name to calls and further groups."""
    listed = subprocess.run(
        ("systemd-analyze", "--no-pager", "syscall-filter"), capture_output=True, text=True, check=True
    ).stdout
    found: dict[str, list[str]] = {}
    for block in listed.split("\n\n"):
        name, *members = [line.strip() for line in block.splitlines() if line.strip()[:1] not in ("", "#")] or [""]
        if name.startswith("@"):
            found[name] = members
    return found


def expand(name: str, known: dict[str, list[str]]) -> set[str]:
    """The calls of a group, or the one that is named."""
    return set().union(*(expand(member, known) for member in known[name])) if name.startswith("@") else {name}


def allowed(unit: Path) -> set[str]:
    """What the lines SystemCallFilter= of a unit leave, with what systemd always allows."""
    known, calls = groups(), set[str]()
    for line in unit.read_text().splitlines():
        if line.startswith("SystemCallFilter="):
            words = line.partition("=")[2]
            named = set().union(*(expand(word, known) for word in words.lstrip("~").split()))
            calls = calls - named if words.startswith("~") else calls | named
    return calls | expand("@default", known) | {"execve"}


def confine(calls: set[str]) -> None:
    """Deny this process every other call, with EPERM."""
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    seccomp.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]
    seccomp.seccomp_load.argtypes = [ctypes.c_void_p]
    rules = seccomp.seccomp_init(_ERRNO | errno.EPERM)
    for call in calls:
        number = seccomp.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:
            seccomp.seccomp_rule_add(rules, _ALLOW, number, 0)
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_MDWE, 1, 0, 0, 0)  # kernels before 6.3 do not know it
    if seccomp.seccomp_load(rules):
        raise OSError("the filter was not taken")


if __name__ == "__main__":
    try:
        confine(allowed(Path(sys.argv[1])))
    except (OSError, subprocess.CalledProcessError) as cannot:
        print(cannot, file=sys.stderr)
        sys.exit(CANNOT)
    os.execv(sys.argv[2], sys.argv[2:])
