"""The engine of one profile: everything put together, and the face that fronts see.

`open_engine` makes it, starts what runs beside everything, and ends it in good order. Start reading there.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import trio

from client.engine.beneath import Stamp
from client.engine.browsing import Browser, listing_view
from client.engine.downloads.collection import Downloads
from client.engine.downloads.surroundings import Surroundings
from client.engine.library import MIGRATIONS
from client.engine.machine import Machine
from client.engine.network.membership import Membership
from client.engine.network.neighbours import Neighbours
from client.engine.network.peers import Peers
from client.engine.network.servers import Servers
from client.engine.orders import Orders, make_folder, place_for
from client.engine.people import count_exchange, totals
from client.engine.profile import Profile
from client.engine.rate import RateLimit
from client.engine.search import Searcher, file_link, kept_result
from client.engine.settings import Settings, save_settings
from client.engine.shares.publish import Publisher
from client.engine.shares.scan import Rules
from client.engine.shares.shares import Shares
from client.engine.shares.tag_worker import TagWorker
from client.engine.shelf import Shelf
from client.engine.status import (
    DownloadState,
    DownloadView,
    EngineView,
    ListingView,
    SearchView,
    ServerState,
    ShareView,
    UploadView,
)
from client.engine.uploads.uploads import Uploads
from p2pshare.database import Database, open_database
from p2pshare.errors import LocalTrouble
from p2pshare.hashing import PieceHashes
from p2pshare.identity import format_node_id, load_identity, short_id
from p2pshare.limits import KIB, MIB
from p2pshare.links import format_link
from p2pshare.transport.background import background
from p2pshare.transport.endpoint import Endpoint
from p2pshare.transport.serve import Gate, serve

BUSY_BYTES_PER_S = 1 * MIB  # from this rate on, hashing in the background gives way to transfers
COUNT_EVERY_S = 10.0  # what was sent is added to the statistics
PEERS_MAX = 500  # connections of others to us

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_engine(
    profile: Profile, settings: Settings, passphrase: str | None = None, *, machine: Machine | None = None
) -> AsyncIterator[Engine]:
    """A running engine. `stop` cancels the block.

    Raises `LocalTrouble`: the key cannot be used, the library is damaged, no port is free.
    """
    machine = machine or Machine()
    identity = load_identity(profile.identity_file, passphrase)
    endpoint = Endpoint.create(identity, network=machine.network, random_bytes=machine.random_bytes)
    async with (
        open_database(profile.library_file, MIGRATIONS, threads=machine.database_threads) as database,
        background() as nursery,
    ):
        engine = Engine(profile, settings, machine, endpoint, database, nursery)
        await engine.start()
        gc.freeze()  # what is here now stays: going through it again and again would stop the loop for 20 ms
        with trio.CancelScope() as engine.block:
            try:
                yield engine
            finally:
                with trio.CancelScope(shield=True):
                    await engine.finish()


class Engine:
    """See `face.Face` for what each call promises."""

    def __init__(
        self,
        profile: Profile,
        settings: Settings,
        machine: Machine,
        endpoint: Endpoint,
        database: Database,
        nursery: trio.Nursery,
    ) -> None:
        self.block = trio.CancelScope()
        self.port = 0
        self._profile = profile
        self._settings = settings
        self._machine = machine
        self._endpoint = endpoint
        self._database = database
        self._nursery = nursery
        self._publisher = Publisher(database)
        rules = Rules(settings.exclude, str(profile.folder), settings.share_hidden_files)
        self._shares = Shares(
            database,
            machine.offload,
            self._publisher,
            rules,
            tag_reader=TagWorker() if machine.watch_folders else None,
            watch=machine.watch_folders,
            busy=lambda: self._moving_bytes_per_s() > BUSY_BYTES_PER_S,
            unix_now=machine.unix_now,
        )
        self._servers = Servers(endpoint.node)
        self._peers = Peers(
            endpoint,
            self._servers,
            nursery,
            lan_without_ticket=settings.lan_without_ticket,
            unix_now=machine.unix_now,
        )
        self._throttle = RateLimit(settings.download_rate * KIB)
        around = Surroundings(
            database=database,
            offload=machine.offload,
            peers=self._peers,
            find_sources=self._servers.find_sources,
            adopt=self._adopt,
            throttle=self._throttled,
            unix_now=machine.unix_now,
            chance=machine.chance,
        )
        self._downloads = Downloads(
            around,
            nursery,
            on_piece=lambda file, piece: self._uploads.tell_have(file, piece),
            on_offers=self._publisher.set_download_offers,
            on_finished=lambda file: self._uploads.renew(file),
        )
        self._uploads = Uploads(
            Shelf(self._shares, self._downloads),
            slots=settings.upload_slots,
            bytes_per_s=settings.upload_rate * KIB,
            unix_now=machine.unix_now,
        )
        self._peers.service = self._uploads
        self._neighbours = Neighbours(self._peers, endpoint.node, machine.lan_interfaces)
        self._browser = Browser(self._servers, self._peers)
        self._searcher = Searcher(database, self._servers, self._shares)
        self._membership = Membership(
            endpoint, self._servers, self._publisher, self._peers.on_caller, machine.chance, nursery
        )

    async def start(self) -> None:
        """Listen, take up what was going on, and connect."""
        listeners = await self._listen()
        await self._nursery.start(
            serve, self._endpoint, listeners, self._peers.welcome, Gate(total_max=PEERS_MAX)
        )
        await self._nursery.start(self._shares.run)
        self._nursery.start_soon(self._uploads.run)
        self._nursery.start_soon(self._count)
        if self._settings.share_downloads:
            await self._share_downloads()
        await self._downloads.load()
        for link in self._settings.servers:
            self._membership.use(link, self._settings.nick, self.port)
        if self._settings.lan and self._machine.watch_folders:
            self._nursery.start_soon(self._neighbours.run, self.port, self._settings.nick)

    async def _listen(self) -> list[trio.abc.Listener[trio.abc.Stream]]:
        """On the port of the settings; on another one, kept from then on, if that is not set or not free."""
        network, wanted = self._machine.network, self._settings.listen_port
        try:
            listeners = await network.listen(None, wanted)
        except LocalTrouble:
            if not wanted:
                raise
            log.warning("port %d is taken; another one is used from now on", wanted)
            listeners = await network.listen(None, 0)
        self.port = network.port(listeners)
        if self.port != wanted:
            await self._change_settings(listen_port=self.port)
        return list(listeners)

    async def _share_downloads(self) -> None:
        folder = self._profile.download_folder(self._settings)
        try:
            await self._machine.offload.run(make_folder, str(folder))
            await self._shares.add(str(folder))
        except LocalTrouble as trouble:
            log.info("the download folder is not a share of its own: %s", trouble)

    async def finish(self) -> None:
        """The last things to keep."""
        await self._count_once()

    async def _change_settings(self, **changes: object) -> None:
        self._settings = replace(self._settings, **changes)  # type: ignore[arg-type]
        await self._machine.offload.run(save_settings, self._profile.settings_file, self._settings)

    # --- what runs beside -----------------------------------------------------------------------------

    async def _count(self) -> None:
        while True:
            await trio.sleep(COUNT_EVERY_S)
            await self._count_once()

    async def _count_once(self) -> None:
        for sent in self._uploads.take_sent():
            now = self._machine.unix_now()
            await self._database.write(count_exchange, sent.person, sent.nick, sent=sent.bytes, unix_now=now)

    def _moving_bytes_per_s(self) -> float:
        now = trio.current_time()
        return self._downloads.rate(now) + self._uploads.rate(now)

    async def _throttled(self, count: int) -> None:
        await trio.sleep(self._throttle.take(count, trio.current_time()))

    async def _adopt(self, path: Path, hashes: PieceHashes) -> Stamp | None:
        """A finished download is shared onward: by the share it lies in, or else from where it is."""
        offer: int | None = None
        with contextlib.suppress(LocalTrouble):  # it was moved or changed at once: its owner's business
            offer = await self._shares.adopt(str(path), hashes)
        if offer is not None or not self._settings.share_downloads:
            return None
        with contextlib.suppress(OSError):
            return Stamp.of(await self._machine.offload.run(os.stat, path))
        return None

    # --- calls: everything at a glance ------------------------------------------------------------------

    async def status(self) -> EngineView:
        shares = await self._shares.views()
        servers = tuple(link.view() for link in self._servers.links.values())
        downloads, uploads = self._downloads.views(), self._uploads.views()
        exchanged = await self._database.read(totals)
        running = [view for view in downloads if view.state is DownloadState.RUNNING]
        return EngineView(
            person=format_node_id(self._endpoint.node),
            short=short_id(self._endpoint.node),
            nick=self._settings.nick,
            profile=str(self._profile.folder),
            port=self.port,
            servers=servers,
            shares=shares,
            hashing=self._shares.hashing,
            hashing_left=sum(share.files - share.hashed for share in shares),
            downloads_running=len(running),
            uploads_running=sum(view.position == 0 for view in uploads),
            download_rate=sum(view.rate for view in running),
            upload_rate=sum(view.rate for view in uploads),
            downloaded_bytes=exchanged.received_bytes,
            uploaded_bytes=exchanged.sent_bytes,
            people_served=exchanged.people_served,
            lan=self._neighbours.names(),
            problem=self._problem(),
        )

    def _problem(self) -> str:
        """What keeps the network from working."""
        views = [link.view() for link in self._servers.links.values()]
        if not views:
            return "No index server is set. Join one by its invite, or start one with `p2pshare index`."
        if not any(view.state is ServerState.ONLINE for view in views):
            return next((view.problem for view in views if view.problem), "")
        if all(view.reachable is False for view in views):
            return (
                f"Others cannot connect to you: port {self.port} is closed from outside. Forward it on your"
                " router; until then only people whose port is open can exchange files with you."
            )
        return self._shares.problem.value

    # --- calls: servers -----------------------------------------------------------------------------------

    async def join(self, link: str) -> str:
        joined = await self._membership.join(link, self._settings.nick, self.port)
        if joined.link not in self._settings.servers:
            await self._change_settings(servers=(*self._settings.servers, joined.link))
        return joined.name

    async def leave(self, server: str) -> None:
        gone = self._membership.leave(server)
        await self._change_settings(
            servers=tuple(link for link in self._settings.servers if link not in gone)
        )

    async def rename(self, nick: str) -> None:
        await self._membership.rename(nick)
        await self._change_settings(nick=nick)

    # --- calls: shares ------------------------------------------------------------------------------------

    async def add_share(self, path: str) -> ShareView:
        return await self._shares.add(path)

    async def remove_share(self, path: str) -> None:
        await self._shares.remove(path)

    async def rescan(self) -> tuple[ShareView, ...]:
        return await self._shares.rescan()

    async def link(self, what: str) -> str:
        if what in ("me", "invite"):
            for server in self._servers.online():
                return format_link(server.invite)
            raise LocalTrouble("No index server is connected to which you could invite anybody.")
        if what.isascii() and what.isdigit():
            result = await self._database.read(kept_result, int(what))
            if result is None or result.link is None:
                raise LocalTrouble(
                    f"There is no link for result {what}: it is gone, or its file is not hashed yet."
                )
            return result.link
        offer = await self._shares.find_path(what)
        if offer is None:
            raise LocalTrouble(f"{what} is not shared. Share its folder first.")
        file = offer.file or await self._shares.hash_now(offer.offer)
        return file_link(file, offer.path.rpartition("/")[2], offer.size)

    # --- calls: finding and fetching ------------------------------------------------------------------------

    async def search(
        self,
        query: str,
        kinds: tuple[str, ...] = (),
        extensions: tuple[str, ...] = (),
        size_min: int = 0,
        size_max: int | None = None,
        limit: int = 50,
    ) -> SearchView:
        return await self._searcher.search(query, kinds, extensions, size_min, size_max, limit)

    async def browse(self, person: str, folder: str = "") -> ListingView:
        folder = folder.strip("/")
        somebody = await self._browser.find(person)
        return listing_view(somebody, folder, await self._browser.open_folder(somebody, folder))

    async def get(self, what: str, target: str | None = None) -> tuple[DownloadView, ...]:
        place = place_for(target, self._profile.download_folder(self._settings))
        await self._machine.offload.run(make_folder, place.folder)
        orders = Orders(self._database, self._browser, self._machine.unix_now())
        return tuple([await self._downloads.add(record) for record in await orders.records(what, place)])

    async def downloads(self) -> tuple[DownloadView, ...]:
        return self._downloads.views()

    async def pause(self, download: int) -> None:
        await self._downloads.pause(download)

    async def resume(self, download: int) -> None:
        await self._downloads.resume(download)

    async def cancel(self, download: int) -> None:
        await self._downloads.cancel(download)

    async def clear(self) -> int:
        return await self._downloads.clear()

    async def uploads(self) -> tuple[UploadView, ...]:
        return self._uploads.views()

    async def stop(self) -> None:
        # A moment later, so that whoever asked from another process gets the answer.
        self._nursery.start_soon(self._stop_soon)

    async def _stop_soon(self) -> None:
        await trio.sleep(0.1)
        self.block.cancel()
