"""One connection of a client, from its handshake to its end: it logs in, asks, and goes, or is lost.

Whoever is lost without a word stays online, detached, for a time of grace, and resumes with the token from
its login. What others are told of it does not change meanwhile.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import structlog
import trio

from index_server import online
from index_server.broker import address_field
from index_server.commands import Desk
from index_server.online import Visitor
from index_server.requests import Requests, refusal
from index_server.rules.spending import budgets_of, spend_on_login
from index_server.store import Account
from p2pshare.addresses import Address
from p2pshare.errors import CloseCode, Disconnected, PeerFault, Refused
from p2pshare.limits import RESUME_TOKEN_BYTES
from p2pshare.session.events import Event
from p2pshare.transport.answers import Incoming
from p2pshare.transport.pulse import Pulse
from p2pshare.transport.quiet import QuietChannel
from p2pshare.transport.serve import MISTAKE, network_of
from p2pshare.wire import index
from p2pshare.wire.schema import Message
from p2pshare.wire.session import Cancel

HOUR_S = 3_600.0
LOGIN_TRIES_MAX = 8  # on one connection; somebody new needs three, and one more for each nick that is taken
GONE_FOR_GOOD = frozenset(CloseCode) - {CloseCode.GOING_AWAY, CloseCode.SILENT, CloseCode.TOO_SLOW}

log = structlog.stdlib.get_logger("index_server")


class Visit:
    """One connection."""

    __slots__ = (
        "_channel",
        "_desk",
        "_nursery",
        "_observed",
        "_pulse",
        "_requests",
        "_tries",
        "_visitor",
        "_waiting",
    )

    def __init__(
        self, desk: Desk, channel: QuietChannel, observed: Address, nursery: trio.Nursery, pulse: Pulse
    ) -> None:
        self._desk = desk
        self._channel = channel
        self._observed = observed
        self._nursery = nursery
        self._pulse = pulse
        self._tries = 0
        self._waiting: list[Message] | None = None
        self._visitor: Visitor | None = None
        self._requests: Requests | None = None

    async def attend(self, events: list[Event]) -> None:
        """Until the connection is over."""
        self._pulse.watch(self, trio.current_time() + self._desk.config.connections.login_within)
        try:
            await self._channel.attend(self._hear, events, self._pulse)
        finally:
            self._pulse.forget(self)
            if self._requests is not None:
                await self._requests.end()
            if self._visitor is not None:
                self._end(self._visitor)

    def tick(self, now: float) -> None:
        """See `Pulse`."""
        if self._visitor is None:
            self._channel.close_soon(CloseCode.SILENT, "No login came in time.")

    def _hear(self, incoming: Incoming) -> None:
        message = incoming.message
        if self._requests is not None:
            self._requests.hear(message)
        elif not isinstance(message, Cancel):
            self._tries += 1
            if self._tries > LOGIN_TRIES_MAX:
                raise PeerFault(CloseCode.TOO_FAST, "Too many tries to log in on one connection.")
            if self._waiting is not None:
                self._waiting.append(message)
            else:
                self._waiting = [message]
                self._nursery.start_soon(self._log_in, self._waiting)

    # --- coming ---------------------------------------------------------------------------------------

    async def _log_in(self, waiting: list[Message]) -> None:
        """Deal with what is said before the login, in order."""
        try:
            while waiting and self._channel.ending is None:
                if self._requests is not None:
                    raise PeerFault(
                        CloseCode.WRONG_ORDER, "Something came behind the login before its answer."
                    )
                await self._deal_with(waiting.pop(0))
        except Disconnected:
            pass  # whoever reads notices, too
        except PeerFault as fault:
            self._channel.close_soon(fault.code, fault.text)
        except Exception:
            log.exception("a login failed")
            self._channel.close_soon(CloseCode.INTERNAL, MISTAKE)
        finally:
            self._waiting = None

    async def _deal_with(self, message: Message) -> None:
        started_at, refused_with = trio.current_time(), None
        try:
            self._desk.rules.check_person(self._channel.peer, self._observed.host)
            spend_on_login(self._desk, self._observed.host)
            if isinstance(message, index.Register):
                await self._channel.send(await self._register(message))
            elif isinstance(message, index.Login):
                account = await self._desk.accounts.login(self._channel.peer)
                if self._channel.ending is None:
                    # A ban may have come meanwhile; from here on nothing is waited for.
                    self._desk.rules.check_person(self._channel.peer, self._observed.host)
                    self._arrive(message, account)
        except Refused as refused:
            request: int = message.request  # type: ignore[attr-defined]
            refused_with = refusal(request, refused)
            await self._channel.send(refused_with)
        now = trio.current_time()
        self._desk.measures.note(message, refused_with, started_at=started_at, now=now)

    async def _register(self, message: index.Register) -> Message:
        account = await self._desk.accounts.find(self._channel.peer)
        if account is None:
            self._desk.budgets.take(
                network_of(self._observed.host),
                "registrations",
                most=self._desk.config.accounts.registrations_per_hour,
                period_s=HOUR_S,
                now=trio.current_time(),
            )
            account = await self._desk.accounts.register(self._channel.peer, message.nick, message.code)
            log.info("registered", account=account.number)
        return index.Registered(request=message.request, nick=account.nick)

    def _arrive(self, message: index.Login, account: Account) -> None:
        desk = self._desk
        token = desk.endpoint.random_bytes(RESUME_TOKEN_BYTES)
        visitor = Visitor(
            account.number,
            account.node,
            account.nick,
            self._channel,
            self._observed,
            token,
            registered_at=account.created_at,
        )
        older = desk.online.arrive(visitor)
        resumed = older is not None and secrets.compare_digest(message.resume, older.token)
        missed: list[Message] = []
        if older is not None:
            if resumed and older.observed.host == visitor.observed.host:
                visitor.port, visitor.reachable, visitor.told = older.port, older.reachable, None
            missed += (older.missed or ()) if resumed else ()
            if older.channel is not None:
                older.channel.close_soon(CloseCode.REPLACED)
        if older is None or not resumed:
            desk.catalogue.set_online(account.number, True)
        self._pulse.forget(self)
        self._visitor = visitor
        self._requests = Requests(desk, visitor, self._channel, self._nursery)
        kept = resumed and visitor.port is not None
        self._channel.post(self._welcome(message, account, token, resumed=kept))
        desk.bulletin.tell_missed(self._channel, account.seen_at)
        desk.rules.newcomers.look(account.number, account.created_at, account.offers, desk.unix_now())
        for notice in missed:
            self._channel.post(notice)
        desk.wishes.arrived(account.number)
        log.debug("arrived", account=account.number, resumed=resumed, online=len(desk.online))

    def _welcome(self, message: index.Login, account: Account, token: bytes, *, resumed: bool) -> Message:
        config = self._desk.config
        return index.LoggedIn(
            request=message.request,
            nick=account.nick,
            manifest=account.manifest,
            observed=address_field(self._observed),
            server_name=config.server.name,
            welcome=self._desk.bulletin.message,
            unix_now=int(self._desk.unix_now()),
            offers_max=config.accounts.offers,
            budgets=budgets_of(self._desk, account.number),
            resume=token,
            resumed=resumed,
        )

    # --- going ----------------------------------------------------------------------------------------

    def _end(self, visitor: Visitor) -> None:
        if not self._desk.online.is_here(visitor):
            return  # replaced
        visitor.channel = None
        self._desk.wishes.left(visitor.account)
        ending = self._channel.ending
        if ending is not None and ending.code in GONE_FOR_GOOD:
            leave(self._desk, visitor)
            return
        log.debug("detached", account=visitor.account)
        grace_s = self._desk.config.connections.grace
        self._pulse.watch(Grace(self._desk, visitor), trio.current_time() + grace_s)


@dataclass(frozen=True, eq=False, slots=True)
class Grace:
    """Somebody is detached, and leaves when this is over unless they are back."""

    desk: Desk
    visitor: Visitor

    def tick(self, now: float) -> None:
        """See `Pulse`."""
        leave(self.desk, self.visitor)


def leave(desk: Desk, visitor: Visitor) -> None:
    """They are offline from now on, unless they have come back."""
    left = online.leave(
        visitor,
        desk.online,
        newcomers=desk.rules.newcomers,
        catalogue=desk.catalogue,
        accounts=desk.accounts,
    )
    if left:
        log.debug("left", account=visitor.account, online=len(desk.online))
