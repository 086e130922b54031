"""Reads the configuration's TOML file; the one place of this package that opens it."""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mediation.config.rules import check
from mediation.config.sections import Config
from mediation.config.tables import ConfigError, Table, read_section


def read_config(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration in `path`, checked whole. Raises `ConfigError` with the first thing that is wrong.

    `environment` is where `$CREDENTIALS_DIRECTORY` is looked up.
    """
    values = _parse(path, _text(path))
    config = read_section(Config, Table(path, environment, values), file=path)
    check(config)
    return config


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        raise ConfigError(path, "", "there is no such file", "create it, or name another with --config") from None
    except IsADirectoryError:
        raise ConfigError(path, "", "is a directory", "name the TOML file in it") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(path, "", f"cannot be read ({reason})", "let the daemon's user read it") from None
    except UnicodeDecodeError as error:
        line, column = _position(error.object[: error.start].decode())
        raise ConfigError(
            path, "", f"is not UTF-8 at line {line}, column {column}", "save it as UTF-8, which TOML is"
        ) from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError(path, "", "is nested too deeply", "write tables as [a.b]") from None
    except ValueError as error:  # TOMLDecodeError, and what Python has against a number of thousands of digits
        line, column = _position(text)
        # tomllib gives no position for what is missing at the end, and everybody else's is in the words.
        words = str(error).replace("at end of document", f"at line {line}, column {column}")
        wrong = re.sub(r" \(at (line \d+, column \d+)\)$", r" at \1", words)
        raise ConfigError(path, "", f"is not TOML: {wrong}", "mend that line") from None


def _position(text: str) -> tuple[int, int]:
    """Line and column, from 1, of what would follow `text`."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")
