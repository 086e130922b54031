"""The driver of a NAS: a bar ends the line's live sessions by Disconnect-Requests, or changes them by CoA-Requests
where the configuration has attributes for the service (RFC 5176).

An ACK is no proof. A disconnected session is gone when accounting says so, or when the NAS knows nothing of it.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from access.barring import Answer, Holding, Outcome, Verdict
from access.radius.codec import COA_REQUEST, DISCONNECT_REQUEST
from access.radius.dictionary import Dictionary, Value
from access.radius.exchange import Exchange, Silence
from access.radius.requests import SESSION_CONTEXT_NOT_FOUND, CannotEncode, Reply
from access.radius.template import AttributeTemplate, TemplateError, parse_template
from access.sessions import LiveSession, LiveSessions, SessionKey
from access.target import Target

AT_ONCE: Final = 32
"""Requests to one NAS under way at once, over all orders."""
MOST_APPLIED: Final = 100_000
"""Sessions whose last CoA is remembered; beyond it the oldest is asked again."""


@dataclass(frozen=True, slots=True)
class ServiceAttributes:
    """How a service is barred by CoA, and given back; None: there is nothing to send."""

    bar: AttributeTemplate | None
    restore: AttributeTemplate | None


def service_attributes(bar: str | None, restore: str | None, dictionary: Dictionary) -> ServiceAttributes:
    """The attributes of a [switches.NAME.services.NAME]. Raises TemplateError, which names the key."""
    made: list[AttributeTemplate | None] = []
    for key, text in (("bar", bar), ("restore", restore)):
        try:
            made.append(None if text is None else parse_template(text, dictionary))
        except TemplateError as error:
            raise TemplateError(f"{key}: {error}") from None
    return ServiceAttributes(*made)


class RadiusDriver:
    """One NAS, as `access.barring.Barring`."""

    def __init__(
        self,
        switch: str,
        host: str,
        exchange: Exchange,
        sessions: LiveSessions,
        services: Mapping[str, ServiceAttributes] | None = None,
    ) -> None:
        """`switch` is its name, `host` its address: a session is the NAS's own when its source or accounting client has
        that name, or its accounting came from that address."""
        self._switch = switch
        self._host = _plain(host)
        self._exchange = exchange
        self._sessions = sessions
        self._services = services or {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._applied: dict[tuple[SessionKey, str], bool] = {}

    async def bar(self, target: Target, reason: str) -> Answer:
        """Disconnect every live session of the target, or change it as the service's attributes say."""
        own = self._services.get(target.service)
        if own and own.bar:
            return await self._change(target, own.bar, reason, barred=True)
        sessions = self._sessions_of(target)
        replies = await asyncio.gather(*(self._disconnect(session) for session in sessions))
        return _summed(replies, "disconnected", "no live session: nothing to disconnect")

    async def restore(self, target: Target) -> Answer:
        """A session that was disconnected may simply come back; one that was changed is changed again."""
        own = self._services.get(target.service)
        if own and own.restore:
            return await self._change(target, own.restore, "restored", barred=False)
        self._applied = {known: barred for known, barred in self._applied.items() if not self._is_of(known, target)}
        return Answer(Outcome.ACKNOWLEDGED, "nothing to send: the NAS takes new sessions")

    async def verify(self, target: Target, *, barred: bool) -> Verdict:
        """By what accounting told; where sessions are changed, by the NAS's ACK for each that is live now."""
        own = self._services.get(target.service)
        live = self._sessions_of(target)
        if own and (own.bar if barred else own.restore):
            of = target.service
            open_ = [
                s for s in live if self._applied.get((s.key, of)) is not barred and not self._sessions.is_denied(s.key)
            ]
            words = "the NAS has acknowledged the change of every live session"
        elif barred:
            open_ = [session for session in live if not self._sessions.is_denied(session.key)]
            words = "no session is live"
        else:
            open_, words = [], "nothing bars it"
        if not open_:
            return Verdict(Holding.HOLDS, words)
        names = ", ".join(session.key.session for session in open_[:3])
        return Verdict(Holding.NOT_YET, f"{len(open_)} sessions are live and not changed yet: {names}")

    async def check(self, targets: Sequence[Target]) -> list[Verdict]:
        """By what accounting told: nobody is asked."""
        return [await self.verify(target, barred=True) for target in targets]

    async def close(self) -> None:
        """Close the sockets."""
        await self._exchange.close()

    def _sessions_of(self, target: Target) -> list[LiveSession]:
        return [session for session in self._sessions.of(target.line, target.username) if self._serves(session)]

    def _serves(self, session: LiveSession) -> bool:
        return self._switch in (session.key.source, session.client) or self._host in (
            _plain(session.peer),
            _plain(session.nas_address or ""),
        )

    def _is_of(self, known: tuple[SessionKey, str], target: Target) -> bool:
        key, service = known
        return service == target.service and any(key == session.key for session in self._sessions_of(target))

    async def _disconnect(self, session: LiveSession) -> Reply | Silence:
        reply = await self._ask(DISCONNECT_REQUEST, _naming(session))
        if isinstance(reply, Reply) and reply.error_cause == SESSION_CONTEXT_NOT_FOUND:
            self._sessions.deny(session.key)
            return Reply(True, reply.error_cause, "already gone")
        return reply

    async def _change(self, target: Target, template: AttributeTemplate, reason: str, *, barred: bool) -> Answer:
        slots = {
            "line": target.number,
            "reason": reason,
            "service": target.service,
            "username": target.username or "",
        }
        attributes = template.fill(slots)

        async def change(session: LiveSession) -> Reply | Silence:
            reply = await self._ask(COA_REQUEST, [*_naming(session), *attributes])
            if isinstance(reply, Reply) and reply.error_cause == SESSION_CONTEXT_NOT_FOUND:
                self._sessions.deny(session.key)
                reply = Reply(True, reply.error_cause, "already gone")
            if isinstance(reply, Reply) and reply.acknowledged:
                self._remember(session.key, target.service, barred=barred)
            return reply

        replies = await asyncio.gather(*(change(session) for session in self._sessions_of(target)))
        return _summed(replies, "changed", "no live session: nothing to change")

    def _remember(self, key: SessionKey, service: str, *, barred: bool) -> None:
        self._applied.pop((key, service), None)
        self._applied[key, service] = barred
        while len(self._applied) > MOST_APPLIED:
            del self._applied[next(iter(self._applied))]

    async def _ask(self, code: int, attributes: Sequence[tuple[str, Value]]) -> Reply | Silence:
        async with self._slots:
            try:
                return await self._exchange.ask(code, attributes)
            except CannotEncode as error:
                return Reply(False, None, str(error))


def _naming(session: LiveSession) -> list[tuple[str, Value]]:
    """What tells a NAS which session is meant, and that it is meant itself (RFC 5176, 3): a request that fitted several
    sessions would end them all."""
    named: list[tuple[str, Value]] = [("Acct-Session-Id", session.key.session)]
    if session.username:
        named.append(("User-Name", session.username))
    if session.nas_identifier:
        named.append(("NAS-Identifier", session.nas_identifier))
    address = _plain(session.nas_address or "" if session.nas_identifier else session.nas_address or session.peer)
    if address:
        named.append(("NAS-IPv6-Address" if ":" in address else "NAS-IP-Address", address))
    return named


def _plain(address: str) -> str:
    """An address in its one spelling; what is none stands as it is."""
    try:
        return str(ip_address(address))
    except ValueError:
        return address


def _summed(replies: Iterable[Reply | Silence], done: str, nothing: str) -> Answer:
    """One answer for all sessions: unknown where one is, for it is worth asking again; else refused where one is."""
    acknowledged = gone = 0
    silent: list[str] = []
    refused: list[str] = []
    for reply in replies:
        if isinstance(reply, Silence):
            silent.append(reply.words)
        elif not reply.acknowledged:
            refused.append(reply.words)
        elif reply.error_cause is None:
            acknowledged += 1
        else:
            gone += 1
    counted = [f"{acknowledged} {done}"] * (acknowledged > 0) + [f"{gone} already gone"] * (gone > 0)
    words = "; ".join([*counted, *dict.fromkeys(refused), *dict.fromkeys(silent)]) or nothing
    outcome = Outcome.UNKNOWN if silent else Outcome.REFUSED if refused else Outcome.ACKNOWLEDGED
    return Answer(outcome, words)
