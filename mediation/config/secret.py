"""Secrets: given in the file, in a file of their own, or as a systemd credential; never shown in a message."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mediation.config.tables import Reader, Table, Unfit
from mediation.config.values import take
from mediation.config.words import listed

_LONGEST: Final = 65_536
"""Bytes of a secret's file that are read at most: a wrong path to a large file is refused, not loaded."""


@dataclass(frozen=True, slots=True)
class Secret(Reader[str]):
    """`X`, `X_file` or `X_credential`, exactly one of them (systemd.exec(5), LoadCredential=).

    Fields that hold one are declared with `field(repr=False)`, so that no log line carries it.
    """

    def keys(self, key: str) -> tuple[str, ...]:
        return (key, f"{key}_file", f"{key}_credential")

    def how(self, key: str) -> str:
        return f'{key} = "…", {key}_file = "PATH" or {key}_credential = "NAME"'

    def read(self, table: Table, key: str) -> str:
        given = [name for name in self.keys(key) if name in table.values]
        if len(given) > 1:
            raise Unfit(f"{listed(given)} are given together", "keep one of them", key=given[0])
        (name,) = given
        try:
            value = take(table.values[name], str, "a string")
        except Unfit as unfit:
            raise Unfit(unfit.wrong, f'write {name} = "…"', key=name) from None
        if name == key:
            return _checked(value, name, f"write {self.how(key)}")
        value = _checked(value, name, f'write {name} = "…"')
        path = table.resolve(value) if name.endswith("_file") else _credential(table, value, key)
        return _checked(_from_file(path, name), name, f"write the secret into {path}")


def _credential(table: Table, value: str, key: str) -> Path:
    """The file that systemd made for a credential."""
    name = f"{key}_credential"
    if "/" in value or value in (".", ".."):
        raise Unfit("must be the name of a credential, not a path", f'write {key}_file = "PATH" for a path', key=name)
    directory = table.environment.get("CREDENTIALS_DIRECTORY", "")
    if not directory:
        raise Unfit(
            "needs $CREDENTIALS_DIRECTORY, which is not set",
            f"start under systemd with LoadCredential={value}:PATH, or give {key}_file",
            key=name,
        )
    return Path(directory, value)


def _from_file(path: Path, name: str) -> str:
    """A file's text without the line end that editors leave."""
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise Unfit(f"cannot read {path} ({reason})", "make it a file that the daemon may read", key=name) from None
    if len(content) > _LONGEST:
        raise Unfit(f"{path} is too long for a secret", "keep the secret alone in its file", key=name)
    try:
        return content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Unfit(f"{path} is not UTF-8 text", "keep the secret alone in its file, as text", key=name) from None


def _checked(secret: str, name: str, remedy: str) -> str:
    """A secret on one line that is not empty; how long it is, is the site's own affair."""
    if not secret.strip():
        raise Unfit("must not be empty", remedy, key=name)
    if any(character in secret for character in "\n\r\0"):
        raise Unfit("must be one line", remedy, key=name)
    return secret
