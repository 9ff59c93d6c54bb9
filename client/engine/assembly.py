"""The parts of one engine, put together: who is told of what, and what runs beside everything."""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import replace
from pathlib import Path

import trio

from client.engine.beneath import Stamp
from client.engine.browsing import Browser
from client.engine.downloads.collection import Downloads
from client.engine.downloads.surroundings import Surroundings
from client.engine.machine import Machine
from client.engine.network.membership import Membership
from client.engine.network.neighbours import Neighbours
from client.engine.network.peers import Peers
from client.engine.network.servers import Servers
from client.engine.orders import make_folder
from client.engine.people import count_exchange
from client.engine.profile import Profile
from client.engine.rate import RateLimit
from client.engine.search import Searcher
from client.engine.settings import Settings, save_settings
from client.engine.shares.publish import Publisher
from client.engine.shares.scan import Rules
from client.engine.shares.shares import Shares
from client.engine.shares.tag_worker import TagWorker
from client.engine.shelf import Shelf
from client.engine.uploads.uploads import Uploads
from p2pshare.database import Database
from p2pshare.errors import LocalTrouble
from p2pshare.hashing import PieceHashes
from p2pshare.limits import KIB, MIB
from p2pshare.transport.endpoint import Endpoint
from p2pshare.transport.serve import Gate, serve

BUSY_BYTES_PER_S = 1 * MIB  # from this rate on, hashing in the background gives way to transfers
COUNT_EVERY_S = 10.0  # what was sent is added to the statistics
PEERS_MAX = 500  # connections of others to us

log = logging.getLogger(__name__)


class Assembly:
    """What runs for one profile; `start` it in its nursery."""

    def __init__(
        self,
        profile: Profile,
        settings: Settings,
        machine: Machine,
        endpoint: Endpoint,
        database: Database,
        nursery: trio.Nursery,
    ) -> None:
        self.port = 0
        self.profile = profile
        self.settings = settings
        self.machine = machine
        self.endpoint = endpoint
        self.database = database
        self.nursery = nursery
        self.publisher = Publisher(database)
        rules = Rules(settings.exclude, str(profile.folder), settings.share_hidden_files)
        self.shares = Shares(
            database,
            machine.offload,
            self.publisher,
            rules,
            tag_reader=TagWorker() if machine.watch_folders else None,
            watch=machine.watch_folders,
            busy=lambda: self.moving_bytes_per_s() > BUSY_BYTES_PER_S,
            unix_now=machine.unix_now,
        )
        self.servers = Servers(endpoint.node)
        self.peers = Peers(
            endpoint,
            self.servers,
            nursery,
            lan_without_ticket=settings.lan_without_ticket,
            unix_now=machine.unix_now,
        )
        self._throttle = RateLimit(settings.download_rate * KIB)
        around = Surroundings(
            database=database,
            offload=machine.offload,
            peers=self.peers,
            find_sources=self.servers.find_sources,
            adopt=self._adopt,
            throttle=self._throttled,
            unix_now=machine.unix_now,
            chance=machine.chance,
        )
        self.downloads = Downloads(
            around,
            nursery,
            on_piece=lambda file, piece: self.uploads.tell_have(file, piece),
            on_offers=self.publisher.set_download_offers,
            on_finished=lambda file: self.uploads.renew(file),
        )
        self.uploads = Uploads(
            Shelf(self.shares, self.downloads),
            slots=settings.upload_slots,
            bytes_per_s=settings.upload_rate * KIB,
            unix_now=machine.unix_now,
        )
        self.peers.service = self.uploads
        self.neighbours = Neighbours(self.peers, endpoint.node, machine.lan_interfaces)
        self.browser = Browser(self.servers, self.peers)
        self.searcher = Searcher(database, self.servers, self.shares)
        self.membership = Membership(
            endpoint, self.servers, self.publisher, self.peers.on_caller, machine.chance, nursery
        )

    async def start(self) -> None:
        """Listen, take up what was going on, and connect."""
        listeners = await self._listen()
        await self.nursery.start(
            serve, self.endpoint, listeners, self.peers.welcome, Gate(total_max=PEERS_MAX)
        )
        await self.nursery.start(self.shares.run)
        self.nursery.start_soon(self.uploads.run)
        self.nursery.start_soon(self._count)
        if self.settings.share_downloads:
            await self._share_downloads()
        await self.downloads.load()
        for link in self.settings.servers:
            self.membership.use(link, self.settings.nick, self.port)
        if self.settings.lan and self.machine.watch_folders:
            self.nursery.start_soon(self.neighbours.run, self.port, self.settings.nick)

    async def _listen(self) -> list[trio.abc.Listener[trio.abc.Stream]]:
        """On the port of the settings; on another one, kept from then on, if that is not set or not free."""
        network, wanted = self.machine.network, self.settings.listen_port
        try:
            listeners = await network.listen(None, wanted)
        except LocalTrouble:
            if not wanted:
                raise
            log.warning("port %d is taken; another one is used from now on", wanted)
            listeners = await network.listen(None, 0)
        self.port = network.port(listeners)
        if self.port != wanted:
            await self.change_settings(listen_port=self.port)
        return list(listeners)

    async def _share_downloads(self) -> None:
        folder = self.profile.download_folder(self.settings)
        try:
            await self.machine.offload.run(make_folder, str(folder))
            await self.shares.add(str(folder))
        except LocalTrouble as trouble:
            log.info("the download folder is not a share of its own: %s", trouble)

    async def finish(self) -> None:
        """The last things to keep."""
        await self._count_once()

    async def change_settings(self, **changes: object) -> None:
        self.settings = replace(self.settings, **changes)  # type: ignore[arg-type]
        await self.machine.offload.run(save_settings, self.profile.settings_file, self.settings)

    # --- what runs beside -----------------------------------------------------------------------------

    async def _count(self) -> None:
        while True:
            await trio.sleep(COUNT_EVERY_S)
            await self._count_once()

    async def _count_once(self) -> None:
        for sent in self.uploads.take_sent():
            now = self.machine.unix_now()
            await self.database.write(count_exchange, sent.person, sent.nick, sent=sent.bytes, unix_now=now)

    def moving_bytes_per_s(self) -> float:
        now = trio.current_time()
        return self.downloads.rate(now) + self.uploads.rate(now)

    async def _throttled(self, count: int) -> None:
        await trio.sleep(self._throttle.take(count, trio.current_time()))

    async def _adopt(self, path: Path, hashes: PieceHashes) -> Stamp | None:
        """A finished download is shared onward: by the share it lies in, or else from where it is."""
        offer: int | None = None
        with contextlib.suppress(LocalTrouble):  # it was moved or changed at once: its owner's business
            offer = await self.shares.adopt(str(path), hashes)
        if offer is not None or not self.settings.share_downloads:
            return None
        with contextlib.suppress(OSError):
            return Stamp.of(await self.machine.offload.run(os.stat, path))
        return None
