"""The parts of one engine, put together: who is told of what, and what runs beside everything."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from dataclasses import replace
from pathlib import Path

import trio

from client.engine.bandwidth import Bandwidth, Clock
from client.engine.beneath import Stamp
from client.engine.browsing import Browser
from client.engine.credit.credit import Credit
from client.engine.distrust import Distrust
from client.engine.downloads.collection import Downloads
from client.engine.downloads.surroundings import Surroundings
from client.engine.introductions import Introductions
from client.engine.machine import Machine
from client.engine.network.membership import Membership
from client.engine.network.neighbours import Neighbours
from client.engine.network.peers import Peers
from client.engine.network.servers import Servers
from client.engine.network.slots_told import SlotsTold
from client.engine.orders import make_folder, place_for, record_of
from client.engine.playback.showing import Stores
from client.engine.playback.theatre import Outside, Theatre
from client.engine.profile import Profile
from client.engine.remembering import Remembering
from client.engine.searcher import Searcher
from client.engine.settings import Settings, save_settings
from client.engine.shares.publish import Publisher
from client.engine.shares.scan import Rules
from client.engine.shares.shares import Shares
from client.engine.shares.tag_worker import TagWorker
from client.engine.shelf import Shelf
from client.engine.status import DownloadView, ResultView
from client.engine.uploads.patrons import Patrons
from client.engine.uploads.uploads import Uploads
from client.engine.wishes.wishes import Wishes
from p2pshare.database import Database
from p2pshare.errors import LocalTrouble
from p2pshare.hashing import PieceHashes
from p2pshare.identity import NodeId
from p2pshare.limits import MIB
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
            check_every_s=settings.check_days * 86_400.0 or math.inf,
        )
        self.servers = Servers(endpoint.node)
        self.peers = Peers(
            endpoint,
            self.servers,
            nursery,
            lan_without_ticket=settings.lan_without_ticket,
            unix_now=machine.unix_now,
        )
        clock = Clock(machine.unix_now, machine.local_time)
        self.patrons = Patrons(endpoint.identity, settings, clock)
        self.bandwidth = Bandwidth(settings, clock, self.patrons.group)
        self.remembering = Remembering(database, self.patrons, self.peers.waiting)
        self.credit = Credit(
            database,
            endpoint.identity,
            self.peers,
            self.servers,
            count=self._count_once,
            reports=lambda: self.settings.report_receipts,
            unix_now=machine.unix_now,
        )
        self.distrust = Distrust(database, machine.unix_now)
        around = Surroundings(
            database=database,
            offload=machine.offload,
            peers=self.peers,
            find_sources=self.servers.find_sources,
            adopt=self._adopt,
            adopt_all=self._adopt_all,
            throttle=self.bandwidth.arrived,
            unthrottled=self.bandwidth.arrives_freely,
            took=self._took,
            distrust=self.distrust,
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
        shelf = Shelf(self.shares, self.downloads.onward, database, machine.offload)
        self.uploads = Uploads(
            shelf,
            self.patrons,
            self.bandwidth,
            weight=self.credit.ledger.weight,
            unix_now=machine.unix_now,
        )
        self.uploads.countersign = self.credit.signing.countersign
        self.shares.checking.on_rotten = self.uploads.renew
        introductions = Introductions(self.peers, self.downloads.onward, self.uploads.takers, machine.chance)
        self.uploads.on_taker = introductions.meet
        self.uploads.others = introductions.others
        self.peers.service = self.uploads
        self._slots_told = SlotsTold(self.servers, self.uploads.newcomer_wait_s)
        self.theatre = Theatre(
            Stores(shelf, self.downloads, machine.offload),
            self.shares,
            Outside(machine.network, nursery, machine.random_bytes),
        )
        self._around = trio.CancelScope()
        self.neighbours = Neighbours(self.peers, endpoint.node, machine.lan_interfaces)
        self.browser = Browser(self.servers, self.peers)
        self.searcher = Searcher(database, self.servers, self.shares)
        self.wishes = Wishes(
            database,
            self.servers,
            self.shares,
            fetch=self._fetch_wished,
            rules=lambda: self.settings.wishes,
            unix_now=machine.unix_now,
            chance=machine.chance,
        )
        self.membership = Membership(
            endpoint,
            self.servers,
            self.publisher,
            self.peers.on_caller,
            self.wishes,
            machine.chance,
            nursery,
        )

    async def _fetch_wished(self, result: ResultView) -> DownloadView:
        place = place_for(None, self.profile.download_folder(self.settings))
        await self.machine.offload.run(make_folder, place.folder)
        return await self.downloads.add(record_of(result, place, self.machine.unix_now()))

    def _took(self, person: NodeId, nick: str, size: int) -> None:
        self.credit.ledger.took(person, nick, size)
        self.uploads.swarm.gave(person, size)

    async def start(self) -> None:
        """Listen, take up what was going on, and connect."""
        await self.credit.ledger.load()
        await self.remembering.load(self.machine.unix_now())
        await self.distrust.load()
        await self.wishes.load()
        listeners = await self._listen()
        await self.nursery.start(
            serve, self.endpoint, listeners, self.peers.welcome, Gate(total_max=PEERS_MAX)
        )
        await self.nursery.start(self.shares.run)
        self.nursery.start_soon(self.uploads.run)
        self.nursery.start_soon(self.bandwidth.run)
        self.nursery.start_soon(self._count)
        self.nursery.start_soon(self.credit.run)
        self.nursery.start_soon(self.distrust.run)
        if self.settings.share_downloads:
            await self.share_downloads()
        await self.downloads.load()
        self.nursery.start_soon(self.wishes.run)
        self.nursery.start_soon(self._slots_told.run)
        for link in self.settings.servers:
            self.membership.use(link, self.settings.nick, self.port)
        self.look_around()

    def look_around(self) -> None:
        """Find people on the local network, and be found there by the nick, if the settings say so."""
        self._around.cancel()
        self._around = trio.CancelScope()
        self.peers.on_local_network.clear()
        if self.settings.lan and self.machine.watch_folders:
            self.nursery.start_soon(self._look_around, self._around)

    async def _look_around(self, scope: trio.CancelScope) -> None:
        with scope:
            await self.neighbours.run(self.port, self.settings.nick)

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

    async def share_downloads(self) -> None:
        """Make the download folder a share of its own."""
        folder = self.profile.download_folder(self.settings)
        try:
            await self.machine.offload.run(make_folder, str(folder))
            await self.shares.add(str(folder))
        except LocalTrouble as trouble:
            log.info("the download folder is not a share of its own: %s", trouble)

    async def finish(self) -> None:
        """The last things to keep."""
        await self.credit.signing.settle()
        await self._count_once()

    async def change_settings(self, **changes: object) -> None:
        await self.keep_settings(replace(self.settings, **changes))  # type: ignore[arg-type]

    async def keep_settings(self, settings: Settings) -> None:
        """Use these from now on, and after a restart. Raises `LocalTrouble` if they cannot be written."""
        before, self.settings = self.settings, settings
        try:
            await self.machine.offload.run(save_settings, self.profile.settings_file, settings)
        except LocalTrouble:
            self.settings = before
            raise

    # --- what runs beside -----------------------------------------------------------------------------

    async def _count(self) -> None:
        while True:
            await trio.sleep(COUNT_EVERY_S)
            await self._count_once()

    async def _count_once(self) -> None:
        for sent in self.uploads.take_sent():
            self.credit.ledger.gave(sent.person, sent.nick, sent.bytes)
        await self.credit.ledger.write()
        await self.remembering.write(self.machine.unix_now())

    def moving_bytes_per_s(self) -> float:
        now = trio.current_time()
        return self.downloads.rate(now) + self.uploads.rate(now)

    async def _adopt_all(self, files: list[tuple[str, Stamp, PieceHashes]]) -> list[Stamp | None]:
        shared = await self.shares.adopt_all(files)
        elsewhere = self.settings.share_downloads
        return [stamp if elsewhere and path not in shared else None for path, stamp, _ in files]

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
