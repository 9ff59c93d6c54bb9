"""The handlers of searches, and of the notice that says how long others wait at somebody. The rows of the
requests stand in commands.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from index_server.online import Online
from index_server.search.catalogue import Catalogue, Copy, Found, Page
from index_server.search.entry import tags_of
from index_server.search.expression import CONTACTS
from index_server.search.query import SearchQuery, parse_search_untrusted
from index_server.speeds import Speeds
from p2pshare import limits
from p2pshare.errors import BadMessage, Reason, Refused
from p2pshare.identity import NodeId, parse_node_id_untrusted
from p2pshare.kinds import kind_of
from p2pshare.receipts import Receipt
from p2pshare.wire import index
from p2pshare.wire.fields import Hit, Source

if TYPE_CHECKING:
    from index_server.commands import Desk
    from index_server.online import Visitor

UNTOLD_WAIT_S = 60  # a guess at those who did not say: one turn of somebody else
LITTLE = 3  # matches; with fewer, the query may be spelt wrong
HIT_BYTES = 170  # at most, besides its path, names, tags and sources
NAME_BYTES = 3  # at most, besides the name itself
SOURCE_BYTES = 72 + limits.NICK_BYTES_MAX  # at most
PAGE_BYTES = 2 * limits.KIB  # at most, besides the hits: facets and a suggestion

_People = Mapping[str, frozenset[int]]


async def search(desk: Desk, visitor: Visitor, message: index.Search) -> index.SearchHits:
    query = parse_search_untrusted(message)
    people = await _people(desk, query, message)
    await trio.lowlevel.checkpoint()  # let others in between two searches, and a cancel
    page = _page(desk, query, people, message)
    suggestion, instead = "", False
    if page.total < LITTLE and not message.cursor:
        suggestion = desk.catalogue.suggest(message, people=people, more_than=page.total)
        instead = bool(suggestion) and page.total == 0
    if instead:
        page = _page(desk, parse_search_untrusted(replace(message, query=suggestion)), people, message)
    hits, cursor = _that_fit(desk, visitor, page)
    return index.SearchHits(
        request=message.request,
        total=page.total,
        hits=hits,
        cursor=cursor,
        facets=page.facets,
        suggestion=suggestion,
        instead=instead,
        hidden=page.hidden,
    )


async def find_sources(desk: Desk, visitor: Visitor, message: index.FindSources) -> index.Sources:
    desk.rules.check_file(message.file)
    total, copies = desk.catalogue.sources(message.file, asker=visitor.account, limit=message.limit)
    return index.Sources(request=message.request, total=total, some=tuple(_sources(desk, copies)))


def hear_slots(desk: Desk, visitor: Visitor, message: index.Slots) -> None:
    """Notices that come too often are skipped: nobody waits for an answer to them."""
    try:
        desk.budgets.take(
            visitor.account,
            "slots",
            most=limits.SLOTS_PER_MINUTE,
            period_s=60.0,
            now=trio.current_time(),
        )
    except Refused:
        return
    visitor.wait_s = message.wait_s
    desk.catalogue.set_free(visitor.account, message.wait_s == 0)


def hear_receipt(
    catalogue: Catalogue, online: Online, speeds: Speeds, reporter: NodeId, receipt: Receipt
) -> None:
    """A receipt is news. What its taker tells has its time; a giver could hold it back to seem fast."""
    if reporter != receipt.taker:
        return
    speeds.note(receipt, trio.current_time())
    giver = online.by_node(receipt.giver)
    if giver is not None:
        catalogue.set_speed(giver.account, speeds.of(receipt.giver))


# --- inside ----------------------------------------------------------------------------------------------


def _page(desk: Desk, query: SearchQuery, people: _People, message: index.Search) -> Page:
    return desk.catalogue.search(
        query,
        people=people,
        sort=message.sort,
        cursor=message.cursor,
        limit=message.limit,
        newcomers=desk.rules.newcomers.accounts,
    )


async def _people(desk: Desk, query: SearchQuery, message: index.Search) -> _People:
    """The accounts of those whom a query names. Raises `Refused`."""
    people = {whom: frozenset({await _account(desk, whom)}) for whom in query.people}
    contacts = [desk.online.by_node(node) for node in message.contacts]
    people[CONTACTS] = frozenset(contact.account for contact in contacts if contact is not None)
    return people


async def _account(desk: Desk, whom: str) -> int:
    try:
        node: NodeId | None = parse_node_id_untrusted(whom)
    except BadMessage:
        node = None
    try:
        account = await (desk.accounts.by_node(node) if node is not None else desk.accounts.by_nick(whom))
    except Refused as refused:
        if refused.reason is not Reason.NO_SUCH_PERSON:
            raise
        raise Refused(Reason.BAD_QUERY, f"Nobody is called {whom} here, so `from:` finds nothing.") from None
    return account.number


def _that_fit(desk: Desk, visitor: Visitor, page: Page) -> tuple[tuple[Hit, ...], bytes]:
    """(the first hits of a page, as many as fit one frame; the cursor that continues behind them)"""
    hits: list[Hit] = []
    cursor = b""
    room = index.SearchHits.FRAME_MAX - PAGE_BYTES
    for found in page.found:
        hit = hit_of(desk, visitor.node, found)
        room -= HIT_BYTES + len(hit.path.encode()) + len(found.tags) + SOURCE_BYTES * len(hit.some)
        room -= sum(NAME_BYTES + len(name.encode()) for name in hit.names)
        if room < 0:
            break
        hits.append(hit)
        cursor = found.cursor
    return tuple(hits), cursor


def hit_of(desk: Desk, asker: NodeId, found: Found) -> Hit:
    """A document as somebody is told of it."""
    return Hit(
        file=found.file,
        path=found.path,
        size=found.size,
        kind=kind_of(found.path),
        changed=found.changed,
        tags=tags_of(found.tags),
        sources=found.sources,
        some=_best_sources(desk, asker, found),
        names=found.names,
        free=found.free,
        contacts=found.contacts,
        doubts=found.doubts,
    )


def _best_sources(desk: Desk, asker: NodeId, found: Found) -> tuple[Source, ...]:
    """Those first who can be reached, have all of it, and let somebody in soon; never the asker."""
    sources = [source for source in _sources(desk, found.some) if source.node != asker]
    sources.sort(
        key=lambda source: (
            not source.reachable,
            source.partial,
            UNTOLD_WAIT_S if source.wait_s is None else source.wait_s,
            -source.speed,
        )
    )
    return tuple(sources[: limits.HIT_SOURCES_MAX])


def _sources(desk: Desk, copies: Iterable[Copy]) -> Iterable[Source]:
    for copy in copies:
        holder = desk.online.by_account(copy.account)
        if holder is not None:
            yield Source(
                node=holder.node,
                nick=holder.nick,
                offer=copy.offer,
                partial=copy.partial,
                reachable=holder.reachable,
                wait_s=holder.wait_s,
                speed=desk.catalogue.speed_of(copy.account),
            )
