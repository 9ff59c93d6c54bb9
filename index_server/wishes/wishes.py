"""Everybody's wishes: kept, held against what is offered, and told to people while they are online.

Rule 1: a hit is noted on disk before it is told, and is told again at every login until its wisher took it.
Rule 2: a hit is told while somebody who has the file is online. Else it waits for its holder.
Rule 3: nobody's publish waits for the wishes of others: what an offer is about is found at once, in memory;
noting and telling happen in `run`, beside everything else.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import structlog
import trio

from index_server.online import Online, Visitor
from index_server.search.catalogue import Catalogue, Found
from index_server.search.expression import Expression
from index_server.search.query import parse_search_untrusted
from index_server.wishes import mailbox
from index_server.wishes.mailbox import Kept, Match, Untold
from index_server.wishes.matching import cover, lasts, said_by
from index_server.wishes.percolator import Percolator
from p2pshare import limits
from p2pshare.database import Database
from p2pshare.errors import LocalTrouble, Reason, Refused
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId, format_node_id
from p2pshare.transport.channel import Channel
from p2pshare.wire.fields import Hit, Offer
from p2pshare.wire.index import Search
from p2pshare.wire.wishes import Wish, WishHit, WishHits

STEP = 100  # offers looked at without a pause: some 2 ms
LOADED = 100  # wishes filed without a pause: some 9 ms
NOTED = 500  # matches noted by one unit of work: some 30 ms of the disk's thread
TOLD = 20  # people told by one unit of work
THERE_ALREADY = 100  # files that are there when a wish is made, and count as found for it
MATCHES_MAX = 100_000  # waiting to be noted, some 15 MB; what comes then may count when it is offered again
RETRY_S = 10.0  # after the disk failed, as when it is full

ShowHit = Callable[[NodeId, Found], Hit | None]
"""What somebody is told of a document."""

log = structlog.stdlib.get_logger("index_server.wishes")


def wanted_untrusted(query: str) -> Expression:
    """What somebody wishes for. Raises `Refused(BAD_QUERY)` and nothing else."""
    wanted = parse_search_untrusted(Search(request=1, query=query)).wanted
    if not lasts(wanted):
        text = "A wish waits for a file, whoever has it then: leave out free:, contacts: and sources:."
        raise Refused(Reason.BAD_QUERY, text)
    if not cover(wanted, len):
        text = "A wish needs a word that must occur, and each of its alternatives one."
        raise Refused(Reason.BAD_QUERY, text)
    return wanted


class Wishes:
    """The one place that knows who wishes for what."""

    def __init__(self, database: Database, catalogue: Catalogue, online: Online, *, wishes_max: int) -> None:
        """An account may keep `wishes_max`."""
        self._database = database
        self._catalogue = catalogue
        self._online = online
        self._wishes_max = wishes_max
        self._percolator = Percolator(catalogue.frequency)
        self._owners: dict[int, int] = {}  # accounts by wish
        self._matches: deque[Match] = deque()  # to be noted
        self._to_tell: dict[int, None] = {}  # accounts, in order
        self._with_mail: set[int] = set()
        self._awaited: defaultdict[int, set[int]] = defaultdict(set)  # by holder: who waits for them
        self._untaken: dict[int, Channel] = {}  # by account: where they were told what they did not take yet
        self._loaded = trio.Event()
        self._work = trio.Event()

    def __len__(self) -> int:
        """How many wishes can find something."""
        return len(self._percolator)

    async def start(self) -> None:
        """Find out who has mail. To be called before anybody arrives."""
        self._with_mail.update(await self._database.read(mailbox.wishers_with_mail))

    async def load(self) -> None:
        """Take up all wishes from disk. Whoever publishes meanwhile waits."""
        after = 0
        while wishes := await self._database.read(mailbox.all_wishes, after, LOADED):
            for kept in wishes:
                self._file(kept)
            after = wishes[-1].number
        self._loaded.set()

    async def refile(self) -> None:
        """The catalogue is filled: file every wish by how rare its words are now known to be."""
        await self._loaded.wait()
        wishes = list(self._owners)
        for start in range(0, len(wishes), LOADED):
            await trio.lowlevel.checkpoint()
            for wish in wishes[start : start + LOADED]:
                if wish in self._owners:
                    self._percolator.refile(wish)

    # --- what people ask -----------------------------------------------------------------------------

    async def change(self, account: int, dropped: Sequence[int], added: Wish | None) -> list[Kept]:
        """Drop wishes, keep another one; returns all that are kept. Raises `Refused`."""
        if added is not None and not self._percolator.has_room(wanted_untrusted(added.query)):
            text = "Too many people here wish for something with these words. Add another word."
            raise Refused(Reason.TOO_MUCH, text)
        new = (added.wish, added.query) if added is not None else None
        await self._loaded.wait()
        with trio.CancelScope(shield=True):  # disk and memory change together
            gone, left = await self._database.write(
                mailbox.change_wishes, account, dropped, new, self._wishes_max
            )
            for kept in gone:
                self._unfile(kept.number)
            for kept in left:
                if new is not None and kept.wish == new[0] and kept.number not in self._owners:
                    self._file(kept)
                    self._look_back(kept)
        return left

    async def take(self, visitor: Visitor, numbers: Iterable[int]) -> None:
        """They have these hits, and are told the next ones."""
        await self._database.write(mailbox.take_hits, visitor.account, numbers)
        self._untaken.pop(visitor.account, None)
        self._tell(visitor.account)

    # --- what happens --------------------------------------------------------------------------------

    async def offered(self, visitor: Visitor, offers: Sequence[Offer]) -> None:
        """Somebody offers this since now, or offers it anew."""
        if self._loaded.is_set() and not self._owners:
            return
        nick, key = visitor.nick, format_node_id(visitor.node)
        with trio.CancelScope(shield=True):  # it is offered, whether the asker still listens or not
            await self._loaded.wait()
            for start in range(0, len(offers), STEP):
                if start:
                    await trio.lowlevel.checkpoint()
                for offer in offers[start : start + STEP]:
                    for wish in self._percolator.matching(said_by(offer, nick, key)):
                        self._match(wish, visitor.account, offer.offer, offer.file)

    def arrived(self, account: int) -> None:
        """Somebody is connected now: something may wait for them, or somebody for what they have."""
        self._untaken.pop(account, None)  # what was told to an older connection is lost with it
        if account in self._with_mail:
            self._tell(account)
        for wisher in self._awaited.pop(account, ()):
            self._tell(wisher)

    def left(self, account: int) -> None:
        """They are not connected any more."""
        self._untaken.pop(account, None)

    def forget(self, account: int) -> None:
        """The account is erased."""
        for wish in [wish for wish, owner in self._owners.items() if owner == account]:
            self._unfile(wish)
        self._with_mail.discard(account)

    async def run(self, show: ShowHit) -> None:
        """Note what was found, and tell it; for ever."""
        while True:
            await self._work.wait()
            self._work = trio.Event()
            try:
                while self._matches or self._to_tell:
                    await self._note()
                    await self._tell_some(show)
            except LocalTrouble as trouble:
                log.warning("wishes have to wait", why=str(trouble))
                await trio.sleep(RETRY_S)
                self._work.set()

    # --- inside: finding -----------------------------------------------------------------------------

    def _file(self, kept: Kept) -> None:
        if kept.found < limits.WISH_FOUND_MAX:  # else it rests
            query = parse_search_untrusted(Search(request=1, query=kept.query))
            self._percolator.add(kept.number, query.wanted)
            self._owners[kept.number] = kept.account

    def _unfile(self, wish: int) -> None:
        self._percolator.remove(wish)
        self._owners.pop(wish, None)

    def _look_back(self, kept: Kept) -> None:
        """What is there already was offered before, but counts as well: so it need not be searched for."""
        for file, copy in self._catalogue.anywhere(wanted_untrusted(kept.query), THERE_ALREADY):
            self._match(kept.number, copy.account, copy.offer, file)

    def _match(self, wish: int, account: int, offer: int, file: FileId | None) -> None:
        owner = self._owners.get(wish)
        if owner in (None, account) or len(self._matches) >= MATCHES_MAX:
            return  # nobody wishes for what they offer themselves
        self._matches.append(Match(wish, account, offer, file))
        self._work.set()

    async def _note(self) -> None:
        matches = list(islice(self._matches, NOTED))
        if not matches:
            return
        noted = await self._database.write(mailbox.note_matches, matches)
        for _ in matches:
            self._matches.popleft()
        for wish in noted.full:
            self._unfile(wish)
        self._with_mail |= noted.wishers
        for account in noted.wishers:
            self._tell(account)

    # --- inside: telling -----------------------------------------------------------------------------

    def _tell(self, account: int) -> None:
        self._to_tell[account] = None
        self._work.set()

    def _next_to_tell(self) -> dict[int, tuple[NodeId, Channel]]:
        """Some of those who are connected and have taken what they were told before."""
        people: dict[int, tuple[NodeId, Channel]] = {}
        while self._to_tell and len(people) < TOLD:
            account = next(iter(self._to_tell))
            del self._to_tell[account]
            visitor = self._online.by_account(account)
            if visitor is not None and visitor.channel is not None and account not in self._untaken:
                people[account] = visitor.node, visitor.channel
        return people

    async def _tell_some(self, show: ShowHit) -> None:
        people = self._next_to_tell()
        if not people:
            return
        waiting: dict[int, list[Untold]] = {account: [] for account in people}
        for hit in await self._database.read(mailbox.untold_of, list(people)):
            waiting[hit.account].append(hit)
        doubtful: list[Untold] = []
        for account, (node, channel) in people.items():
            if not waiting[account]:
                self._with_mail.discard(account)
            hits, others = self._obtainable(waiting[account], node, show)
            doubtful += others
            # Whoever reads too slowly hears at the next hit or the next login; the mailbox keeps them.
            if hits and channel.post_if_room(WishHits(hits=tuple(hits))):
                self._untaken[account] = channel
        if doubtful:
            gone = await self._database.read(mailbox.without_offer, doubtful)
            await self._database.write(mailbox.forget_hits, gone)

    def _obtainable(
        self, waiting: Iterable[Untold], asker: NodeId, show: ShowHit
    ) -> tuple[list[WishHit], list[Untold]]:
        """(the first ones that somebody online has, those whose holders are here and yet do not offer it)"""
        hits: list[WishHit] = []
        doubtful: list[Untold] = []
        for untold in waiting:
            found = self._catalogue.show(untold.key)
            hit = show(asker, found) if found is not None else None
            if hit is not None:
                hits.append(WishHit(number=untold.number, wish=untold.wish, hit=hit))
                if len(hits) == limits.WISH_HITS_MAX:
                    break
            elif self._online.by_account(untold.holder) is not None:
                doubtful.append(untold)
            else:
                self._awaited[untold.holder].add(untold.account)
        return hits, doubtful
