"""An enrolments.csv on its way from the command to whoever owns the store, with the name of who gave the command.

The running daemon takes it at its socket beside the store; a command that has the store to itself imports it by the
same service.
"""

from typing import Final

import msgspec
from aiohttp import web

from control.enrolment import Enrolments
from mediation.feeds.problems import json_response, problem
from rating.provisioning import ProvisioningError
from rating.store.port import Store

PATH: Final = "/import/enrolments"


class EnrolmentsFile(msgspec.Struct, frozen=True):
    """The file's text, and who imports it."""

    text: str
    actor: str


def add_routes(app: web.Application, enrolments: Enrolments) -> None:
    """Let the daemon take the file at its socket, to which only its own user has access."""

    async def take(request: web.Request) -> web.Response:
        try:
            file = msgspec.json.decode(await request.read(), type=EnrolmentsFile)
        except msgspec.MsgspecError as error:
            return problem(422, f"not a file of enrolments: {error}")
        try:
            return json_response({"imported": await enrolments.import_csv(file.text, file.actor)})
        except ProvisioningError as refused:
            return json_response({"errors": [str(error) for error in refused.errors]}, 422)

    app.router.add_post(PATH, take)


async def import_enrolments_alone(store: Store, body: bytes, now: int) -> int:
    """Import a file into a store that no daemon owns; how many rows. Raises ProvisioningError. Mails to agents wait in
    the outbox."""
    file = msgspec.json.decode(body, type=EnrolmentsFile)
    enrolments = await Enrolments.load(store, lambda: now)
    return await enrolments.import_csv(file.text, file.actor)
