"""What becomes of requests, one after the other, for one page or search."""

from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, Final

from mediation.bench.browser import Browser
from simulators.load_client import percentile_ms

THINK_S: Final = 0.01
"""Between an answer and the next request."""
WARM_UP_S: Final = 2.0
"""Requests that are not counted: the first of each kind compiles its template."""
_HTTP_OK: Final = 200


@dataclass(slots=True)
class Asked:
    """What became of one page's requests."""

    took_s: list[float] = field(default_factory=list)
    longest_bytes: int = 0
    failure: str = ""
    """The first answer that was not the page."""

    def ask(self, browser: Browser, path: str, headers: dict[str, str], *, counts: bool) -> bytes:
        """The page, empty if there was another answer, or none. What does not count warms up."""
        try:
            status, body, took_s = browser.get(path, headers)
        except (OSError, HTTPException) as error:
            self.failure = self.failure or f"did not answer: {error or type(error).__name__}"
            return b""
        if status != _HTTP_OK:
            self.failure = self.failure or f"answered {status}"
            return b""
        if counts:
            self.took_s.append(took_s)
            self.longest_bytes = max(self.longest_bytes, len(body))
        return body

    def percentile_ms(self, percent: int) -> float:
        """Of the answers that were the page; 0 without any."""
        return percentile_ms(sorted(self.took_s), percent) or 0.0

    def figures(self) -> dict[str, Any]:
        """What a table shows."""
        times = {f"p{percent}_ms": self.percentile_ms(percent) for percent in (50, 95)}
        return {"requests": len(self.took_s), **times, "max_ms": self.percentile_ms(100), "bytes": self.longest_bytes}
