"""The engine of one profile: opened here, and called through the face that fronts see.

Start reading at `open_engine`; what it is made of is put together in `assembly.py`.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from client.engine import moderating
from client.engine.assembly import Assembly
from client.engine.browsing import listing_view
from client.engine.choosing import Choosing
from client.engine.library import MIGRATIONS
from client.engine.machine import Machine
from client.engine.moderating import RulesView, RuleView, WhyView
from client.engine.network import own_account
from client.engine.orders import Orders, make_folder, place_for
from client.engine.people import totals
from client.engine.profile import Profile
from client.engine.repair import repair
from client.engine.search import file_link, kept_result
from client.engine.search_view import NO_FILTERS, SearchFilters, SearchView
from client.engine.settings import Settings
from client.engine.shares.checks import Place
from client.engine.status import (
    CheckView,
    CreditView,
    DistrustedView,
    DownloadState,
    DownloadView,
    EngineView,
    LimitView,
    ListingView,
    MemberView,
    PlayView,
    Priority,
    RecordView,
    ResultView,
    ServerState,
    SettingView,
    ShareView,
    UploadView,
    WishHitView,
    WishView,
)
from p2pshare.database import open_database
from p2pshare.errors import LocalTrouble
from p2pshare.identity import format_node_id, load_identity, short_id
from p2pshare.links import format_link
from p2pshare.transport.background import background
from p2pshare.transport.endpoint import Endpoint

# Objects made before the young, the middle and the old ones are searched for garbage. By the default numbers
# ten thousand new downloads are looked at again and again: that took a third of the time of such a folder.
GARBAGE_AFTER = (20_000, 50, 100)


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
        assembly = Assembly(profile, settings, machine, endpoint, database, nursery)
        await assembly.start()
        gc.set_threshold(*GARBAGE_AFTER)
        gc.freeze()  # what is here now stays: going through it again and again would stop the loop for 20 ms
        with trio.CancelScope() as block:
            try:
                yield Engine(assembly, block)
            finally:
                with trio.CancelScope(shield=True):
                    await assembly.finish()


class Engine:
    """See `face.Face` for what each call promises."""

    def __init__(self, assembly: Assembly, block: trio.CancelScope) -> None:
        self._all = assembly
        self._block = block
        self._choosing = Choosing(assembly)

    # --- calls: everything at a glance ------------------------------------------------------------------

    async def status(self) -> EngineView:
        shares = await self._all.shares.views()
        servers = tuple(link.view() for link in self._all.servers.links.values())
        downloads, uploads = self._all.downloads.views(), self._all.uploads.views()
        exchanged = await self._all.database.read(totals)
        signed = self._all.credit.ledger.totals()
        running = [view for view in downloads if view.state is DownloadState.RUNNING]
        return EngineView(
            person=format_node_id(self._all.endpoint.node),
            short=short_id(self._all.endpoint.node),
            nick=self._all.settings.nick,
            profile=str(self._all.profile.folder),
            port=self._all.port,
            servers=servers,
            shares=shares,
            hashing=self._all.shares.hashing,
            hashing_left=sum(share.files - share.hashed for share in shares),
            downloads_running=len(running),
            uploads_running=sum(view.position == 0 for view in uploads),
            download_rate=sum(view.rate for view in running),
            upload_rate=sum(view.rate for view in uploads),
            downloaded_bytes=exchanged.received_bytes,
            uploaded_bytes=exchanged.sent_bytes,
            people_served=exchanged.people_served,
            lan=self._all.neighbours.names(),
            problem=self._problem(),
            given_signed=signed.given,
            given_signed_people=signed.given_people,
            taken_signed=signed.taken,
            taken_signed_people=signed.taken_people,
            wish_hits_new=self._all.wishes.new_hits,
        )

    def _problem(self) -> str:
        """What keeps the network from working."""
        views = [link.view() for link in self._all.servers.links.values()]
        if not views:
            return "No index server is set. Join one by its invite, or start one with `p2pshare index`."
        if not any(view.state is ServerState.ONLINE for view in views):
            return next((view.problem for view in views if view.problem), "")
        if all(view.reachable is False for view in views):
            return (
                f"Others cannot connect to you: port {self._all.port} is closed from outside. Forward it on"
                " your router; until then only people whose port is open can exchange files with you."
            )
        return self._all.shares.problem.value

    # --- calls: servers -----------------------------------------------------------------------------------

    async def join(self, link: str) -> str:
        joined = await self._all.membership.join(link, self._all.settings.nick, self._all.port)
        others = tuple(
            link for link in self._all.settings.servers if link not in (joined.before, joined.link)
        )
        await self._all.change_settings(servers=(*others, joined.link))
        return joined.name

    async def leave(self, server: str) -> None:
        await self._forget_servers(self._all.membership.leave(server))

    async def _forget_servers(self, gone: frozenset[str]) -> None:
        await self._all.change_settings(
            servers=tuple(link for link in self._all.settings.servers if link not in gone)
        )

    async def account_record(self, server: str, cursor: str = "") -> RecordView:
        return await own_account.record_page(self._all.membership, server, cursor)

    async def erase_account(self, server: str) -> None:
        await self._forget_servers(await own_account.erase(self._all.membership, server))

    async def rename(self, nick: str) -> None:
        await self._all.membership.rename(nick)
        await self._all.change_settings(nick=nick)

    # --- calls: shares ------------------------------------------------------------------------------------

    async def add_share(self, path: str) -> ShareView:
        return await self._all.shares.add(path)

    async def remove_share(self, path: str) -> None:
        await self._all.shares.remove(path)

    async def rescan(self) -> tuple[ShareView, ...]:
        return await self._all.shares.rescan()

    async def link(self, what: str) -> str:
        if what in ("me", "invite"):
            for server in self._all.servers.online():
                return format_link(server.invite)
            raise LocalTrouble("No index server is connected to which you could invite anybody.")
        if what.isascii() and what.isdigit():
            result = await self._all.database.read(kept_result, int(what))
            if result is None or result.link is None:
                raise LocalTrouble(
                    f"There is no link for result {what}: it is gone, or its file is not hashed yet."
                )
            return result.link
        offer = await self._all.shares.find_path(what)
        if offer is None:
            raise LocalTrouble(f"{what} is not shared. Share its folder first.")
        file = offer.file or await self._all.shares.hash_now(offer.offer)
        return file_link(file, offer.path.rpartition("/")[2], offer.size)

    # --- calls: finding and fetching ------------------------------------------------------------------------

    async def search(
        self,
        query: str,
        filters: SearchFilters = NO_FILTERS,
        sort: str = "relevance",
        limit: int = 50,
    ) -> SearchView:
        return await self._all.searcher.search(query, filters, sort, limit)

    async def search_more(self, limit: int = 50) -> SearchView:
        return await self._all.searcher.search_more(limit)

    async def add_wish(self, query: str, automatic: bool = False) -> WishView:
        return await self._all.wishes.add(query, automatic)

    async def remove_wishes(self, wishes: tuple[int, ...]) -> None:
        await self._all.wishes.remove(wishes)

    async def wishes(self) -> tuple[WishView, ...]:
        return await self._all.wishes.views()

    async def wish_hits(self, wish: int | None = None, again: bool = False) -> tuple[WishHitView, ...]:
        return await self._all.wishes.hits(wish, again)

    async def browse(self, person: str, folder: str = "") -> ListingView:
        folder = folder.strip("/")
        somebody = await self._all.browser.find(person)
        return listing_view(somebody, folder, await self._all.browser.open_folder(somebody, folder))

    async def get(self, what: str, target: str | None = None) -> tuple[DownloadView, ...]:
        place = place_for(target, self._all.profile.download_folder(self._all.settings))
        await self._all.machine.offload.run(make_folder, place.folder)
        orders = Orders(self._all.database, self._all.browser, self._all.machine.unix_now())
        order = await orders.order(what, place)
        if order.folder is not None and len(order.files) > 1:
            return await self._all.downloads.add_folder(order.folder, order.files)
        return tuple([await self._all.downloads.add(record) for record in order.files])

    async def play(self, what: str) -> PlayView:
        if Path(what).is_absolute():
            return await self._all.theatre.play_path(what)
        place = place_for(None, self._all.profile.download_folder(self._all.settings))
        await self._all.machine.offload.run(make_folder, place.folder)
        orders = Orders(self._all.database, self._all.browser, self._all.machine.unix_now())
        return await self._all.theatre.play_record(await orders.records(what, place))

    async def play_download(self, download: int) -> PlayView:
        return await self._all.theatre.play_download(download)

    async def downloads(self) -> tuple[DownloadView, ...]:
        return self._all.downloads.views()

    async def downloads_in(self, folder: int) -> tuple[DownloadView, ...]:
        return self._all.downloads.views_in(folder)

    async def pause(self, download: int) -> None:
        await self._all.downloads.pause(download)

    async def resume(self, download: int) -> None:
        await self._all.downloads.resume(download)

    async def cancel(self, download: int) -> None:
        await self._all.downloads.cancel(download)

    async def prioritise(self, download: int, priority: Priority) -> None:
        await self._all.downloads.prioritise(download, priority)

    async def clear(self) -> int:
        return await self._all.downloads.clear()

    async def uploads(self) -> tuple[UploadView, ...]:
        return self._all.uploads.views()

    async def check(self, path: str | None = None) -> CheckView:
        return await self._all.shares.checking.check(await self._place(path))

    async def checks(self) -> CheckView:
        return self._all.shares.checking.view()

    async def repair(self, path: str | None = None, keep_old: bool = False) -> tuple[DownloadView, ...]:
        database, now = self._all.database, self._all.machine.unix_now()
        return await repair(database, await self._place(path), keep_old, self._all.downloads.add, now)

    async def _place(self, path: str | None) -> Place:
        return Place() if path is None else await self._all.shares.place(path)

    async def distrusted(self) -> tuple[DistrustedView, ...]:
        return self._all.distrust.views()

    async def trust(self, person: str) -> int:
        people = await self._all.distrust.forgive(person)
        await self._all.downloads.trust(people)
        return len(people)

    async def credit(self, person: str | None = None) -> CreditView:
        return await self._all.credit.view(person, self._all.browser)

    # --- calls: choices -----------------------------------------------------------------------------------

    async def settings(self) -> tuple[SettingView, ...]:
        return self._choosing.settings()

    async def change_setting(self, name: str, words: tuple[str, ...]) -> SettingView:
        return await self._choosing.change(name, words)

    async def limits(self) -> tuple[LimitView, ...]:
        return self._choosing.limits()

    async def groups(self) -> tuple[MemberView, ...]:
        return await self._choosing.members()

    async def put_into_group(self, person: str, group: str) -> MemberView:
        return await self._choosing.put(person, group)

    # --- calls: looking after an index server -------------------------------------------------------------

    async def moderate(
        self,
        server: str,
        action: str,
        subject: str,
        target: str,
        for_s: int = 0,
        role: str = "nobody",
        reason: str = "",
        appeal: str = "",
    ) -> RuleView:
        return await moderating.moderate(
            self._all.membership,
            server,
            action=action,
            subject=subject,
            target=moderating.target_of(subject, target, await self._result(target)),
            for_s=for_s,
            role=role,
            reason=reason,
            appeal=appeal,
        )

    async def server_rules(self, server: str, which: str, after: int = 0, limit: int = 40) -> RulesView:
        return await moderating.rules_page(self._all.membership, server, which, after, limit)

    async def why_ranked(self, server: str, what: str) -> WhyView:
        return await moderating.why(self._all.membership, server, what, await self._result(what))

    async def _result(self, what: str) -> ResultView | None:
        """A result of the last search, if `what` is a number."""
        if not (what.isascii() and what.isdigit()):
            return None
        return await self._all.database.read(kept_result, int(what))

    async def stop(self) -> None:
        # A moment later, so that whoever asked from another process gets the answer.
        self._all.nursery.start_soon(self._stop_soon)

    async def _stop_soon(self) -> None:
        await trio.sleep(0.1)
        self._block.cancel()
