"""Making what was done to a directory last."""

import os
from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Make files that were made or renamed in it last. Raises OSError."""
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
