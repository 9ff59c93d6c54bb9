"""The parts of an index server put together: listen, log in, serve, and stop without losing anything."""

from __future__ import annotations

import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import filelock
import structlog
import trio

from index_server.accounts import Accounts
from index_server.admin.bulletin import Bulletin
from index_server.admin.registration import Mode, Registration
from index_server.budgets import Budgets
from index_server.commands import Desk
from index_server.config import Config, ServerSection
from index_server.credit import Credit
from index_server.manifests import Manifests
from index_server.measures import Measures
from index_server.online import Online
from index_server.probe import PortTests
from index_server.rules.door import Door
from index_server.rules.moderation import Moderation
from index_server.search.catalogue import Catalogue
from index_server.searching import hear_receipt, obtainable_hit
from index_server.sessions import keep_sessions, take_sessions
from index_server.snapshot_file import SnapshotFile
from index_server.speeds import Speeds
from index_server.store import MIGRATIONS
from index_server.visits import Grace, Visit
from index_server.wishes.wishes import Wishes
from p2pshare.database import open_database
from p2pshare.errors import CloseCode, Disconnected, LocalTrouble
from p2pshare.identity import Identity, create_identity, load_identity
from p2pshare.limits import KEY_BYTES
from p2pshare.transport import discover
from p2pshare.transport.admission import Admission
from p2pshare.transport.endpoint import Endpoint
from p2pshare.transport.greet import Greeted
from p2pshare.transport.pulse import Pulse
from p2pshare.transport.quiet import QuietChannel
from p2pshare.transport.serve import serve_greeted

IDENTITY_FILE = "server.identity"
DATABASE_FILE = "index.sqlite"
SNAPSHOT_FILE = "catalogue.snapshot"
LOCK_FILE = "lock"
GOODBYES_AT_ONCE = 100  # said without a pause: some 5 ms

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

    def __init__(self, desk: Desk, listeners: Sequence[trio.abc.Listener[trio.abc.Stream]]) -> None:
        self.desk = desk
        self.listeners = listeners
        self.port = desk.endpoint.network.port(listeners)
        self.filled = trio.Event()
        """Everything that was on disk at the start can be found."""
        self.accepting = trio.CancelScope()
        """While this is not cancelled, people can connect."""
        self._pulse = Pulse()

    def attend(self, greeted: Greeted, nursery: trio.Nursery) -> Awaitable[None]:
        """One connection, from its handshake to its end."""
        if greeted.remote is None:
            raise Disconnected("The connection is gone already.")
        channel = QuietChannel(greeted, nursery)
        return Visit(self.desk, channel, greeted.remote, nursery, self._pulse).attend(greeted.events)

    async def keep_time(self) -> None:
        """Look after the timers of all connections, until cancelled."""
        await self._pulse.run()

    async def fill_catalogue(self) -> None:
        """Make what is on disk searchable, while people come and go."""
        started = trio.current_time()
        await self.desk.manifests.list_all()
        await self.desk.wishes.refile()
        seconds = round(trio.current_time() - started, 2)
        log.info("catalogue filled", files=len(self.desk.catalogue), seconds=seconds)
        self.filled.set()

    async def expect_back(self) -> None:
        """Whoever was online when the server stopped is online still, detached. Before anybody can come."""
        now = trio.current_time()
        grace_s = self.desk.config.connections.grace
        stopped_after = int(self.desk.unix_now() - grace_s)
        for visitor in await self.desk.database.write(take_sessions, stopped_after):
            self.desk.online.arrive(visitor)
            self.desk.catalogue.set_online(visitor.account, True)
            self._pulse.watch(Grace(self.desk, visitor), now + grace_s)

    async def say_goodbye(self) -> None:
        """Write down who is online, and ask everybody to come back, spread as they are let in."""
        self.accepting.cancel()  # whoever comes now waits for the next start, if there is one at once
        online, per_s = self.desk.online, self.desk.config.connections.logins_per_second
        visitors = list(online)
        for visitor in visitors:
            self.desk.accounts.note_seen(visitor.account)
        await self.desk.accounts.write_seen()
        await self.desk.database.write(keep_sessions, visitors, int(self.desk.unix_now()))
        channels = list(online.channels())
        for number, channel in enumerate(channels):
            channel.close_soon(CloseCode.GOING_AWAY, retry_after_s=number // per_s)
            if number % GOODBYES_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
        for channel in channels:
            await channel.over.wait()


@asynccontextmanager
async def open_server(
    config: Config,
    endpoint: Endpoint,
    database_path: Path | str,
    *,
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]] = (),
    threads: bool = True,
    unix_now: Callable[[], float] = time.time,
) -> AsyncIterator[IndexServer]:
    """A server that serves while the block runs; at its end everybody is told, and everything is on disk.

    `listeners`: those to use, if there are some already. `threads` as in `open_database`. Raises
    `LocalTrouble` if it cannot start.
    """
    error: BaseException | None = None
    async with open_database(database_path, MIGRATIONS, threads=threads) as database:
        catalogue = Catalogue(random.Random(endpoint.random_bytes(16)))
        snapshot = None
        if str(database_path) != ":memory:":
            snapshot = SnapshotFile(Path(database_path).with_name(SNAPSHOT_FILE), threads=threads)
        manifests = Manifests(database, catalogue, snapshot, offers_max=config.accounts.offers)
        await manifests.start()
        registration = Registration(
            database,
            Mode(config.accounts.registration),
            random_bytes=endpoint.random_bytes,
            unix_now=unix_now,
        )
        bulletin = Bulletin(database, config.server.welcome, unix_now=unix_now)
        await registration.load()
        await bulletin.load()
        accounts, online = Accounts(database, registration, unix_now=unix_now), Online()
        rules = Moderation(
            database,
            accounts,
            catalogue,
            online,
            owners=config.rules.owner_keys(),
            appeal=config.rules.appeal,
            unix_now=unix_now,
        )
        await rules.start()
        wishes = Wishes(database, catalogue, online, wishes_max=config.accounts.wishes)
        await wishes.start()
        desk = Desk(
            config=config,
            endpoint=endpoint,
            accounts=accounts,
            catalogue=catalogue,
            manifests=manifests,
            credit=Credit(
                database,
                pairs_max=config.accounts.receipts,
                on_news=partial(hear_receipt, catalogue, online, Speeds()),
            ),
            online=online,
            budgets=Budgets(),
            rules=rules,
            port_tests=PortTests(endpoint, config.limits.port_tests),
            unix_now=unix_now,
            database=database,
            registration=registration,
            bulletin=bulletin,
            measures=Measures(trio.current_time()),
            wishes=wishes,
        )
        listeners = listeners or [
            listener
            for host in config.server.hosts or (None,)
            for listener in await endpoint.network.listen(host, config.server.port)
        ]
        server = IndexServer(desk, listeners)
        await server.expect_back()
        # Shielded, so that a cancel from outside reaches the block only: goodbye must come before the end.
        serving = trio.CancelScope(shield=True)

        async def serve_until_told(task_status: trio.TaskStatus[None]) -> None:
            gate = Door(
                rules,
                total_max=config.connections.total,
                per_address_max=config.connections.per_address,
                clock=trio.current_time,
            )
            admission = Admission(config.connections.logins_per_second, trio.current_time())
            with serving:
                await serve_greeted(
                    endpoint,
                    listeners,
                    server.attend,
                    gate,
                    admission,
                    server.accepting,
                    task_status=task_status,
                )

        async with trio.open_nursery() as nursery:
            await nursery.start(serve_until_told)
            nursery.start_soon(server.fill_catalogue)
            nursery.start_soon(manifests.tidy_often)
            nursery.start_soon(manifests.save_often)
            nursery.start_soon(server.keep_time)
            nursery.start_soon(accounts.keep_seen)
            nursery.start_soon(rules.keep_tidy)
            nursery.start_soon(wishes.load)
            nursery.start_soon(wishes.run, partial(obtainable_hit, desk))
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
        with trio.CancelScope(shield=True):
            await manifests.save()
    if error is not None:
        raise error


async def _announce(endpoint: Endpoint, port: int, section: ServerSection) -> None:
    interfaces = section.hosts or None  # where nobody can connect, nobody need hear of it
    try:
        async with discover.announce(discover.Kind.INDEX, endpoint.node, port, section.name, interfaces):
            await trio.sleep_forever()
    except LocalTrouble as trouble:
        log.warning("not announced on the local network", why=str(trouble))
