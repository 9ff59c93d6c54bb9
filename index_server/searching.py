"""The handlers of searches, and of the notice that says how long others wait at somebody. The rows of the
requests stand in commands.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from index_server.hits import NOBODY, best_sources, packed_hit
from index_server.online import Online
from index_server.search.catalogue import Catalogue, Copy, Found, Page
from index_server.search.expression import CONTACTS
from index_server.search.query import SearchQuery, parse_search_untrusted
from index_server.speeds import Speeds
from p2pshare import limits
from p2pshare.errors import BadMessage, Reason, Refused
from p2pshare.identity import NodeId, parse_node_id_untrusted
from p2pshare.receipts import Receipt
from p2pshare.wire import index
from p2pshare.wire.fields import Hit, Source
from p2pshare.wire.schema import packed

if TYPE_CHECKING:
    from index_server.commands import Desk
    from index_server.online import Visitor

LITTLE = 3  # matches; with fewer, the query may be spelt wrong
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
    visitor.wait_s, visitor.told = message.wait_s, None
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
        giver.told = None


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
        hit = packed_hit(found, _best_sources(desk, visitor.node, found))
        room -= len(hit)
        if room < 0:
            break
        hits.append(packed(Hit, hit))
        cursor = found.cursor
    return tuple(hits), cursor


def obtainable_hit(desk: Desk, asker: NodeId, found: Found) -> Hit | None:
    """A document as somebody is told of it; None if there is nobody to get it from."""
    some = _best_sources(desk, asker, found)
    return None if some == NOBODY else packed(Hit, packed_hit(found, some))


def _best_sources(desk: Desk, asker: NodeId, found: Found) -> bytes:
    return best_sources(found.some, desk.online.by_account, desk.catalogue.speed_of, asker)


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
