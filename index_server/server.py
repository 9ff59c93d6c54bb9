"""The parts of an index server put together: listen, log in, serve, and stop without losing anything."""

from __future__ import annotations

import os
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import filelock
import structlog
import trio

from index_server.accounts import Accounts
from index_server.broker import address_field
from index_server.budgets import Budgets
from index_server.catalogue import Catalogue
from index_server.commands import Desk
from index_server.config import Config, ServerSection
from index_server.credit import Credit
from index_server.manifests import Manifests
from index_server.online import Online, Visitor
from index_server.requests import Requests
from index_server.store import MIGRATIONS, Account
from p2pshare.addresses import Address
from p2pshare.database import open_database
from p2pshare.errors import CloseCode, Disconnected, LocalTrouble, PeerFault, Refused
from p2pshare.identity import Identity, create_identity, load_identity
from p2pshare.limits import KEY_BYTES
from p2pshare.transport import discover
from p2pshare.transport.channel import Channel
from p2pshare.transport.endpoint import Endpoint
from p2pshare.transport.serve import Gate, network_of, serve
from p2pshare.wire import index
from p2pshare.wire.schema import Message

IDENTITY_FILE = "server.identity"
DATABASE_FILE = "index.sqlite"
LOCK_FILE = "lock"
HOUR_S = 3_600.0

log = structlog.stdlib.get_logger("index_server")


# --- what is on disk -------------------------------------------------------------------------------------


@contextmanager
def claim_folder(folder: Path) -> Iterator[None]:
    """Make the folder if need be, and keep every other server out of it. Raises `LocalTrouble`."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = filelock.FileLock(folder / LOCK_FILE)
        lock.acquire(blocking=False)
    except filelock.Timeout:
        text = f"Another index server is running on {folder}. Stop it, or give this one a folder of its own."
        raise LocalTrouble(text) from None
    except OSError as error:
        raise LocalTrouble(f"The folder {folder} cannot be used: {error.strerror}.") from None
    try:
        yield
    finally:
        lock.release()


def server_identity(folder: Path) -> Identity:
    """The key of the server in this folder, made at the first start. Raises `LocalTrouble`."""
    path = folder / IDENTITY_FILE
    if path.exists():
        return load_identity(path, None)
    if (folder / DATABASE_FILE).exists():
        raise LocalTrouble(
            f"{folder} has a database but no {IDENTITY_FILE}. Clients know the server by that key: put it"
            " back from a backup, or move the database away to start anew."
        )
    return create_identity(path, None, os.urandom(KEY_BYTES))


# --- the server ------------------------------------------------------------------------------------------


class IndexServer:
    """A running server. Made by `open_server`."""

    def __init__(self, desk: Desk, port: int) -> None:
        self.desk = desk
        self.port = port
        self.filled = trio.Event()
        """Everything that was on disk at the start can be found."""

    async def attend(self, channel: Channel) -> None:
        """One connection, from its handshake to its end."""
        if channel.remote is None:
            raise Disconnected("The connection is gone already.")
        visitor: Visitor | None = None
        with trio.move_on_after(self.desk.config.connections.login_within):
            visitor = await self._log_in(channel, channel.remote)
            if visitor is None:
                return  # they hung up
        if visitor is None:
            raise PeerFault(CloseCode.SILENT, "No login came in time.")
        online, catalogue = self.desk.online, self.desk.catalogue
        older = online.arrive(visitor)
        catalogue.set_online(visitor.account, True)
        log.debug("arrived", account=visitor.account, online=len(online))
        try:
            if older is not None:
                await older.channel.aclose(CloseCode.REPLACED)
            await Requests(self.desk, visitor).serve()
        finally:
            if online.leave(visitor):
                catalogue.set_online(visitor.account, False)
                log.debug("left", account=visitor.account, online=len(online))
                with trio.CancelScope(shield=True):
                    await self.desk.accounts.note_seen(visitor.account)

    async def fill_catalogue(self) -> None:
        """Make what is on disk searchable, while people come and go."""
        started = trio.current_time()
        await self.desk.manifests.list_all()
        seconds = round(trio.current_time() - started, 2)
        log.info("catalogue filled", files=len(self.desk.catalogue), seconds=seconds)
        self.filled.set()

    async def say_goodbye(self) -> None:
        """Close every connection in the way that asks clients to come back later."""
        async with trio.open_nursery() as nursery:
            for visitor in self.desk.online:
                nursery.start_soon(visitor.channel.aclose, CloseCode.GOING_AWAY)

    async def _log_in(self, channel: Channel, observed: Address) -> Visitor | None:
        """Until the client has logged in; None if it leaves instead."""
        async for incoming in channel.incoming():
            message = incoming.message
            try:
                if isinstance(message, index.Register):
                    await channel.send(await self._register(channel, observed, message))
                elif isinstance(message, index.Login):
                    account = await self.desk.accounts.login(channel.peer)
                    await channel.send(self._welcome(message, account, observed))
                    return Visitor(account.number, account.node, account.nick, channel, observed)
            except Refused as refused:
                request: int = message.request  # type: ignore[attr-defined]
                await channel.refuse(request, refused.reason, refused.text, refused.retry_after_s)
        return None

    async def _register(self, channel: Channel, observed: Address, message: index.Register) -> Message:
        account = await self.desk.accounts.find(channel.peer)
        if account is None:
            self.desk.budgets.take(
                network_of(observed.host),
                "registrations",
                most=self.desk.config.accounts.registrations_per_hour,
                period_s=HOUR_S,
                now=trio.current_time(),
            )
            account = await self.desk.accounts.register(channel.peer, message.nick)
            log.info("registered", account=account.number)
        return index.Registered(request=message.request, nick=account.nick)

    def _welcome(self, message: index.Login, account: Account, observed: Address) -> Message:
        config = self.desk.config
        return index.LoggedIn(
            request=message.request,
            nick=account.nick,
            manifest=account.manifest,
            observed=address_field(observed),
            server_name=config.server.name,
            welcome=config.server.welcome,
            unix_now=int(self.desk.unix_now()),
            offers_max=config.accounts.offers,
        )


@asynccontextmanager
async def open_server(
    config: Config,
    endpoint: Endpoint,
    database_path: Path | str,
    *,
    threads: bool = True,
    unix_now: Callable[[], float] = time.time,
) -> AsyncIterator[IndexServer]:
    """A server that serves while the block runs; at its end everybody is told, and everything is on disk.

    `threads` as in `open_database`. Raises `LocalTrouble` if it cannot start.
    """
    error: BaseException | None = None
    async with open_database(database_path, MIGRATIONS, threads=threads) as database:
        catalogue = Catalogue(random.Random(endpoint.random_bytes(16)))
        manifests = Manifests(database, catalogue, offers_max=config.accounts.offers)
        await manifests.start()
        desk = Desk(
            config=config,
            endpoint=endpoint,
            accounts=Accounts(database, is_open=config.accounts.open, unix_now=unix_now),
            catalogue=catalogue,
            manifests=manifests,
            credit=Credit(database, pairs_max=config.accounts.receipts),
            online=Online(),
            budgets=Budgets(),
            port_tests=trio.CapacityLimiter(config.limits.port_tests),
            unix_now=unix_now,
        )
        listeners = [
            listener
            for host in config.server.hosts or (None,)
            for listener in await endpoint.network.listen(host, config.server.port)
        ]
        server = IndexServer(desk, endpoint.network.port(listeners))
        # Shielded, so that a cancel from outside reaches the block only: goodbye must come before the end.
        serving = trio.CancelScope(shield=True)

        async def serve_until_told(task_status: trio.TaskStatus[None]) -> None:
            gate = Gate(total_max=config.connections.total, per_address_max=config.connections.per_address)
            with serving:
                await serve(endpoint, listeners, server.attend, gate, task_status=task_status)

        async with trio.open_nursery() as nursery:
            await nursery.start(serve_until_told)
            nursery.start_soon(server.fill_catalogue)
            if config.server.announce:
                nursery.start_soon(_announce, endpoint, server.port, config.server)
            try:
                yield server
            except BaseException as caught:
                error = caught  # raised below, outside of the nursery, so that it is not wrapped in a group
            with trio.move_on_after(config.server.stop_within, shield=True):
                await server.say_goodbye()
            serving.cancel()
            nursery.cancel_scope.cancel()
    if error is not None:
        raise error


async def _announce(endpoint: Endpoint, port: int, section: ServerSection) -> None:
    interfaces = section.hosts or None  # where nobody can connect, nobody need hear of it
    try:
        async with discover.announce(discover.Kind.INDEX, endpoint.node, port, section.name, interfaces):
            await trio.sleep_forever()
    except LocalTrouble as trouble:
        log.warning("not announced on the local network", why=str(trouble))
