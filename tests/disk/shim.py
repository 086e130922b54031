"""The shim that stands between the daemon and the disk: made by the C compiler that is here, loaded before the C
library."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("shim.c")


@dataclass(frozen=True)
class Shim:
    """The library, and the directory whose files it looks at."""

    library: Path
    directory: Path

    def environment(
        self, *, record: Path | None = None, fail: str | None = None, count: Path | None = None
    ) -> dict[str, str]:
        """What a process has to find in its environment."""
        given = {"RECORD": record, "FAIL": fail, "COUNT": count}
        return {
            "LD_PRELOAD": str(self.library),
            "DISK_SHIM_DIRECTORY": str(self.directory.resolve()),
            **{f"DISK_SHIM_{name}": str(value) for name, value in given.items() if value is not None},
        }


def make_shim(where: Path, directory: Path) -> Shim:
    """Compile it."""
    library = where / "shim.so"
    made = subprocess.run(
        ("cc", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl", "-lpthread"),
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    if made.returncode:
        pytest.fail(f"the shim does not compile:\n{made.stderr}", pytrace=False)
    return Shim(library, directory)
