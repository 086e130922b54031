"""How a command says that it could not do its work."""


class Failure(Exception):
    """Ends a command with a line on stderr."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        """`exit_code`: 1 failed while working, 2 wrong usage or configuration."""
        super().__init__(message)
        self.exit_code = exit_code
