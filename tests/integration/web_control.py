"""Accounts that can be acted on, for tests of pages and API: lines with a switch, and an account event that fires."""

from typing import Any, Final

from control.events.definition_json import parse_event
from mediation.directory_builder import DirectoryBuilder
from tests.builders import lines_csv
from tests.integration.web_site import ADA, ADAS_LINE, BOB, BOBS_LINE, WebSite

EVENT: Final[dict[str, Any]] = {
    "accounts": {"numbers": [ADA]},
    "name": "Unusual use",
    "when": {"measure": "charges", "period": "bill-cycle", "above": "2.00"},
    "check": {"continuous": True},
    "alert": [{"by": "email", "when": "fired"}],
    "respond": [{"do": "bar", "services": ["long-distance"], "until": "cleared"}],
}
"""What Ada has used already is above it."""


async def with_switches(web: WebSite) -> None:
    """The lines of both accounts are at a switch; Ada has voice mail too."""
    await web.store.import_lines(
        lines_csv(
            f"{ADAS_LINE},{ADA},Transcontinental,long-distance,lax,,",
            f"{ADAS_LINE},{ADA},Transcontinental,voice-mail,lax,,",
            f"{BOBS_LINE},{BOB},Transcontinental,long-distance,lax,,",
        )
    )
    web.front.directory = DirectoryBuilder(None).build(await web.store.provisioned())
    await web.acting.room.follow()


async def acted_on(web: WebSite) -> None:
    """Ada's event has fired, with an alert and a bar, and she has paid."""
    await with_switches(web)
    await web.acting.room.add_event(parse_event(EVENT), "test")
    await web.acting.room.pay(ADA, 1_000_000, "USD", "test", "k", "at the counter")
