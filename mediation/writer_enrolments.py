"""An enrolments.csv on its way from the command to whoever owns the store, with the name of who gave the command.

The running daemon takes it at its socket beside the store; a command that has the store to itself imports it by the
same service.
"""

from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web

from control.enrolment import Enrolments
from mediation.feeds.problems import json_response, problem
from mediation.imported import CSVFile
from rating.provisioning import ProvisioningError
from rating.store.port import Store

PATH: Final = "/import/enrolments"


def add_routes(app: web.Application, enrolments: Enrolments, clock: Callable[[], int]) -> None:
    """Let the daemon take the file at its socket, to which only its own user has access."""

    async def take(request: web.Request) -> web.Response:
        try:
            file = msgspec.json.decode(await request.read(), type=CSVFile)
        except msgspec.MsgspecError as error:
            return problem(422, f"not a file of enrolments: {error}")
        try:
            imported = await enrolments.import_csv(file.text, file.actor, file.noted("enrolments", clock))
            return json_response({"imported": imported})
        except ProvisioningError as refused:
            return json_response({"errors": [str(error) for error in refused.errors]}, 422)

    app.router.add_post(PATH, take)


async def import_enrolments_alone(store: Store, file: CSVFile, now: int) -> int:
    """Import a file into a store that no daemon owns; how many rows. Raises ProvisioningError. Mails to agents wait in
    the outbox."""
    enrolments = await Enrolments.load(store, lambda: now)
    return await enrolments.import_csv(file.text, file.actor, file.noted("enrolments", lambda: now))
