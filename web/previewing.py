"""When an account event would have fired: tried for pages and API in one way, on the pages' own readers."""

from control.control_room import Refused
from control.events.definition import EventDefinition
from control.events.preview import Preview, PreviewRun
from web.site import Site


async def previewed(site: Site, definition: EventDefinition) -> Preview:
    """What an event would have fired for over the last months. Other pages get the reader between the pieces. Raises
    Refused for an account that is not there, as when the event is made."""
    accounts, now = site.directory.accounts, site.clock()
    for number in definition.accounts.numbers:
        if number not in accounts:
            raise Refused(f"accounts.numbers: there is no account {number}")
    run = PreviewRun(definition, accounts, lambda account: site.exposure.of(account, now), now)
    while await site.readers.read(run.step):
        pass
    return run.result
