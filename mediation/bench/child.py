"""A program of a bench that is talked with by JSON lines: one in, one out."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from mediation.failure import Failure


class Child:
    """One that runs."""

    def __init__(self, name: str, process: "subprocess.Popen[str]") -> None:
        self._name = name
        self._process = process

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def hear(self) -> dict[str, Any]:
        """What it says next. Raises Failure if it ended instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Failure(f"{self._name} ended, and should have said something")
        said: dict[str, Any] = json.loads(line)
        return said

    def tell(self, **words: Any) -> None:
        """Say something to it."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # that it ended is noticed when it is to say something
            self._process.stdin.write(json.dumps(words) + "\n")
            self._process.stdin.flush()

    def ask(self, **words: Any) -> dict[str, Any]:
        """What it answers. Raises Failure if it ended instead."""
        self.tell(**words)
        return self.hear()

    def conclude(self) -> dict[str, Any]:
        """What it says at the end of its input. Raises Failure if it ended instead."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self.hear()


@contextlib.contextmanager
def child(module: str, arguments: Sequence[object]) -> Iterator[Child]:
    """Start a module as a process of its own; it is ended with the block."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Child(module, process)
    finally:
        process.kill()
        process.wait()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
