"""What the person wishes for: told to every index server, and what these find stored before it is theirs no
more.

Rule: an index server keeps exactly the wishes that stand in the library, as soon as it is connected.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Sequence

import trio

from client.engine.network.servers import ServerLink, Servers
from client.engine.search import merge_hits
from client.engine.settings import WishRules
from client.engine.shares.shares import Shares
from client.engine.status import DownloadView, ResultView, WishHitView, WishView
from client.engine.watch import Watch
from client.engine.wishes import store
from client.engine.wishes.automatic import DAY_S, objection, room
from client.engine.wishes.store import Found, Kept
from p2pshare.database import Database
from p2pshare.errors import Disconnected, LocalTrouble, P2PError, Refused
from p2pshare.identity import NodeId
from p2pshare.limits import QUERY_BYTES_MAX, WISH_FOUND_MAX
from p2pshare.names import display
from p2pshare.wire.wishes import ChangeWishes, TakeWishHits, Wish, WishesKept, WishHit, WishHits

FETCH_LOOK_S = 600.0  # whether the day's count lets another download begin
RETRY_S = 30.0  # after a server or the disk failed

Fetch = Callable[[ResultView], Awaitable[DownloadView]]

log = logging.getLogger(__name__)


class Wishes:
    """See `face.Face` for the calls."""

    def __init__(
        self,
        database: Database,
        servers: Servers,
        shares: Shares,
        *,
        fetch: Fetch,
        rules: Callable[[], WishRules],
        unix_now: Callable[[], float],
        chance: random.Random,
    ) -> None:
        """`fetch` begins a download."""
        self.new_hits = 0
        """How many were never shown."""
        self._database = database
        self._servers = servers
        self._shares = shares
        self._fetch = fetch
        self._rules = rules
        self._unix_now = unix_now
        self._chance = chance
        self._kept: dict[int, Kept] = {}  # by number
        self._told: set[NodeId] = set()  # servers that may keep some
        self._found: dict[tuple[NodeId, int], int] = {}  # by server and number, as the server says
        self._refused: dict[tuple[NodeId, int], str] = {}  # what they would not keep, and why
        self._changed = Watch(0)
        self._one_at_a_time = trio.Lock()  # what is in the library, and telling it
        self._to_fetch = trio.Event()

    async def load(self) -> None:
        """What is kept from earlier."""
        self._kept = {kept.number: kept for kept in await self._database.read(store.load_wishes)}
        self._told = set(await self._database.read(store.servers_told))
        await self._count()
        self._to_fetch.set()

    # --- calls --------------------------------------------------------------------------------------

    async def add(self, query: str, automatic: bool) -> WishView:
        """Raises `Refused` if every index server that is connected refuses it, and `LocalTrouble`."""
        if not 0 < len(query.encode()) <= QUERY_BYTES_MAX:
            raise LocalTrouble(f"Say what you wish for, in at most {QUERY_BYTES_MAX} bytes.")
        if any(kept.query == query for kept in self._kept.values()):
            raise LocalTrouble("You wish for just that already. `p2pshare wish list` shows it.")
        async with self._one_at_a_time:
            number = self._chance.randrange(1, 1 << 32)
            await self._offer_to_servers(Wish(wish=number, query=query))
            self._kept[number] = await self._database.write(
                store.add_wish, number, query, automatic, self._unix_now()
            )
        self._changed.set(self._changed.value + 1)
        return next(view for view in await self.views() if view.query == query)

    async def remove(self, wishes: Sequence[int]) -> None:
        """By their ids. Raises `LocalTrouble` if there is no such wish."""
        known = {kept.id: kept.number for kept in self._kept.values()}
        for wish in wishes:
            if wish not in known:
                raise LocalTrouble(f"There is no wish {wish}. `p2pshare wish list` shows yours.")
        async with self._one_at_a_time:
            await self._database.write(store.remove_wishes, list(wishes))
            for wish in wishes:
                self._kept.pop(known[wish], None)
        await self._count()
        self._changed.set(self._changed.value + 1)

    async def views(self) -> tuple[WishView, ...]:
        counts = await self._database.read(store.count_hits)
        return tuple(
            WishView(
                id=kept.id,
                query=kept.query,
                automatic=kept.automatic,
                added_at=kept.added_at,
                hits=counts.get(kept.id, (0, 0))[0],
                new=counts.get(kept.id, (0, 0))[1],
                problem=self._problem(kept.number),
            )
            for kept in self._kept.values()
        )

    async def hits(self, wish: int | None, again: bool) -> tuple[WishHitView, ...]:
        """What was never shown, or all with `again`, of one wish or of all. Shown from now on."""
        if wish is not None and wish not in [kept.id for kept in self._kept.values()]:
            raise LocalTrouble(f"There is no wish {wish}. `p2pshare wish list` shows yours.")
        views = await self._database.write(store.show_hits, wish, again)
        await self._count()
        return views

    # --- what servers are told, and tell ------------------------------------------------------------

    async def keep(self, link: ServerLink) -> None:
        """See that an index server keeps what it should, while it is connected."""
        for server, number in [each for each in self._refused if each[0] == link.node]:
            del self._refused[server, number]  # it may have changed its mind
        while True:
            seen = self._changed.value
            try:
                async with self._one_at_a_time:
                    await self._sync(link)
            except Disconnected:
                return
            except (Refused, LocalTrouble) as error:
                log.info("wishes could not be told: %s", error)
                await trio.sleep(RETRY_S)
                continue
            await self._changed.other_than(seen)

    async def heard(self, link: ServerLink, message: WishHits) -> None:
        """Hits arrived: they are stored, then taken, and downloaded if the person wants that."""
        try:
            found = [each for hit in message.hits if (each := await self._read(link.node, hit)) is not None]
            if await self._database.write(store.keep_hits, found, self._unix_now()):
                await self._count()
                self._to_fetch.set()
            numbers = tuple(hit.number for hit in message.hits)
            await link.ask(lambda request: TakeWishHits(request=request, numbers=numbers))
        except (P2PError, OSError) as error:  # the server tells them again at the next login
            log.info("hits of wishes were not taken: %s", error)

    async def run(self) -> None:
        """Begin what is to be downloaded by itself, as far as the rules let it; for ever."""
        while True:
            with trio.move_on_after(FETCH_LOOK_S):
                await self._to_fetch.wait()
            self._to_fetch = trio.Event()
            try:
                await self._fetch_some()
            except P2PError as error:
                log.warning("a wish could not be downloaded: %s", error)
                await trio.sleep(RETRY_S)

    # --- inside -------------------------------------------------------------------------------------

    async def _offer_to_servers(self, wish: Wish) -> None:
        """Raises `Refused` if there are servers and none of them takes it."""
        refusals: list[Refused] = []
        online = self._servers.online()
        for link in online:
            try:
                await self._change(link, ChangeWishes(request=1, added=wish))
            except Refused as refused:
                refusals.append(refused)
                self._refused[link.node, wish.wish] = refused.text
            except Disconnected:
                continue  # it is told at the next login
        if refusals and len(refusals) == len(online):
            raise refusals[0]

    async def _sync(self, link: ServerLink) -> None:
        if not self._kept and link.node not in self._told:
            return
        kept = {each.wish for each in (await self._change(link, ChangeWishes(request=1))).kept}
        if gone := kept - self._kept.keys():
            await self._change(link, ChangeWishes(request=1, dropped=tuple(sorted(gone))))
        for number in [number for number in self._kept if number not in kept]:
            if (link.node, number) not in self._refused:
                wish = Wish(wish=number, query=self._kept[number].query)
                try:
                    await self._change(link, ChangeWishes(request=1, added=wish))
                except Refused as refused:
                    self._refused[link.node, number] = refused.text

    async def _change(self, link: ServerLink, message: ChangeWishes) -> WishesKept:
        if message.added is not None and link.node not in self._told:
            await self._database.write(store.note_told, link.node, True)  # before it happens
            self._told.add(link.node)
        answer: WishesKept = await link.ask(
            lambda request: ChangeWishes(request=request, dropped=message.dropped, added=message.added)
        )
        self._found |= {(link.node, kept.wish): kept.found for kept in answer.kept}
        if not answer.kept and link.node in self._told:
            await self._database.write(store.note_told, link.node, False)
            self._told.discard(link.node)
        return answer

    async def _read(self, server: NodeId, hit: WishHit) -> Found | None:
        """None if it is about no wish of ours, as just after one was removed."""
        kept = self._kept.get(hit.wish)
        if kept is None:
            return None
        file = hit.hit.file
        have = await self._shares.held_among([file]) if file is not None else frozenset()
        (result,) = merge_hits([(server, [hit.hit])], limit=1, have=have)
        if file is not None:
            return Found(kept.id, file, result)
        if not hit.hit.some:
            return None  # nobody to get it from
        source = hit.hit.some[0]
        return Found(kept.id, source.node + source.offer.to_bytes(4, "big"), result)

    async def _count(self) -> None:
        counts = await self._database.read(store.count_hits)
        self.new_hits = sum(new for _, new in counts.values())

    def _problem(self, number: int) -> str:
        """Why nothing is found for a wish any more, or not everywhere."""
        for (server, wish), found in self._found.items():
            if wish == number and found >= WISH_FOUND_MAX and server in self._servers.links:
                return f"It found {found:,} files and rests. Remove it, and wish for something narrower."
        for (server, wish), text in self._refused.items():
            if wish == number and server in self._servers.links:
                name = display(self._servers.links[server].view().name)
                return f"{name} does not keep it: {text}"
        if not any(wish == number for _, wish in self._found):
            return "No index server knows it yet; it is told to each as soon as it is connected."
        return ""

    async def _fetch_some(self) -> None:
        now = self._unix_now()
        waiting, begun = await self._database.read(store.hits_to_fetch, now - DAY_S)
        places = room(self._rules(), begun, now)
        for each in waiting:
            if reason := objection(each.result, self._rules()):
                await self._database.write(store.note_fetched, each.hit, None, reason, now)
            elif places:
                view = await self._fetch(each.result)
                await self._database.write(store.note_fetched, each.hit, view.id, "", now)
                places -= 1
