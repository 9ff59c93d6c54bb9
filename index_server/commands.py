"""Everything a client can ask once it is logged in: one table, and one short handler for each row.

requests.py checks the columns of a row before it calls the handler, so a handler starts where the checks end.
It returns its one answer, or raises `Refused`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import trio

from index_server.accounts import Accounts
from index_server.broker import address_field, introduce
from index_server.budgets import Budgets
from index_server.catalogue import Catalogue, Copy, Found
from index_server.config import Config
from index_server.credit import Credit
from index_server.entry import tags_of
from index_server.manifests import Manifests
from index_server.online import Online, Visitor
from index_server.probe import port_problem
from index_server.query import parse_search_untrusted
from p2pshare import limits
from p2pshare.addresses import Address
from p2pshare.errors import Reason, Refused
from p2pshare.kinds import kind_of
from p2pshare.tickets import NONCE_BYTES
from p2pshare.transport.endpoint import Endpoint
from p2pshare.wire import index
from p2pshare.wire.fields import Hit, Source
from p2pshare.wire.schema import Message

CURSOR_BYTES = 4  # an offset into the ranked files, big-endian
HIT_BYTES = 160  # at most, besides its path, tags and sources
SOURCE_BYTES = 64 + limits.NICK_BYTES_MAX  # at most
PROBLEM_CHARS = 250  # of what went wrong with a test: fits the field even at four bytes each


@dataclass(frozen=True)
class Desk:
    """What the handlers work with."""

    config: Config
    endpoint: Endpoint
    accounts: Accounts
    catalogue: Catalogue
    manifests: Manifests
    credit: Credit
    online: Online
    budgets: Budgets
    port_tests: trio.CapacityLimiter
    unix_now: Callable[[], float]


@dataclass(frozen=True)
class Command:
    """One row of the table."""

    handler: Callable[[Desk, Visitor, Any], Awaitable[Message]]
    budget: str
    """The key in [limits] that says how often a minute; up to "_per_minute" its name for people."""
    open_max: int = limits.REQUESTS_OPEN_MAX
    """How many of one connection may be under way at the same time."""


# --- searching -------------------------------------------------------------------------------------------


async def search(desk: Desk, visitor: Visitor, message: index.Search) -> index.SearchHits:
    query = parse_search_untrusted(message)
    offset = int.from_bytes(message.cursor, "big")
    if len(message.cursor) not in (0, CURSOR_BYTES):
        raise Refused(Reason.BAD_QUERY, "The cursor is not one of this server. Search anew.")
    await trio.lowlevel.checkpoint()  # let others in between two searches, and a cancel
    page = desk.catalogue.search(query, offset=offset, limit=message.limit)
    hits: list[Hit] = []
    room = index.SearchHits.FRAME_MAX - HIT_BYTES
    for found in page.found:
        hit = Hit(
            file=found.file,
            path=found.path,
            size=found.size,
            kind=kind_of(found.path),
            changed=found.changed,
            tags=tags_of(found.tags),
            sources=found.sources,
            some=_best_sources(desk, visitor, found),
        )
        room -= HIT_BYTES + len(hit.path.encode()) + len(found.tags) + SOURCE_BYTES * len(hit.some)
        if room < 0:
            break
        hits.append(hit)
    more = page.next_offset if len(hits) == len(page.found) else offset + len(hits)
    cursor = b"" if more is None else more.to_bytes(CURSOR_BYTES, "big")
    return index.SearchHits(request=message.request, total=page.total, hits=tuple(hits), cursor=cursor)


async def find_sources(desk: Desk, visitor: Visitor, message: index.FindSources) -> index.Sources:
    total, copies = desk.catalogue.sources(message.file, asker=visitor.account, limit=message.limit)
    return index.Sources(request=message.request, total=total, some=tuple(_sources(desk, copies)))


def _best_sources(desk: Desk, visitor: Visitor, found: Found) -> tuple[Source, ...]:
    """Those who can be reached first, then those who have all of it; never the asker."""
    sources = [source for source in _sources(desk, found.some) if source.node != visitor.node]
    sources.sort(key=lambda source: (not source.reachable, source.partial))
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
            )


# --- offering --------------------------------------------------------------------------------------------


async def publish(desk: Desk, visitor: Visitor, message: index.Publish) -> index.Published:
    offers = await desk.manifests.publish(visitor.account, message)
    return index.Published(request=message.request, offers=offers)


# --- people ----------------------------------------------------------------------------------------------


async def rename(desk: Desk, visitor: Visitor, message: index.Rename) -> index.Renamed:
    await desk.accounts.rename(visitor.node, message.nick)
    visitor.nick = message.nick
    return index.Renamed(request=message.request, nick=message.nick)


async def look_up(desk: Desk, visitor: Visitor, message: index.LookUp) -> index.Person:
    if message.node is not None:
        account = await desk.accounts.by_node(message.node)
    else:
        account = await desk.accounts.by_nick(message.nick)
    exchanged = await desk.credit.exchanged(account.number)
    return index.Person(
        request=message.request,
        node=account.node,
        nick=account.nick,
        online=desk.online.by_account(account.number) is not None,
        offers=account.offers,
        given_bytes=exchanged.given_bytes,
        given_people=exchanged.given_people,
        taken_bytes=exchanged.taken_bytes,
        taken_people=exchanged.taken_people,
    )


async def report_receipts(
    desk: Desk, visitor: Visitor, message: index.ReportReceipts
) -> index.ReceiptsReported:
    news = await desk.credit.report(visitor.node, message.receipts)
    return index.ReceiptsReported(request=message.request, news=news)


async def listen(desk: Desk, visitor: Visitor, message: index.Listen) -> index.Listening:
    address = Address(visitor.observed.host, message.port)
    async with desk.port_tests:
        problem = await port_problem(desk.endpoint, address, visitor.node)
    visitor.port, visitor.reachable = message.port, not problem
    return index.Listening(
        request=message.request,
        reachable=visitor.reachable,
        observed=address_field(address),
        text=problem[:PROBLEM_CHARS],
    )


async def ask_ticket(desk: Desk, visitor: Visitor, message: index.AskTicket) -> index.TicketIssued:
    if message.node == visitor.node:
        raise Refused(Reason.NO_SUCH_PERSON, "That is you.")
    target = desk.online.by_node(message.node)
    if target is None:
        await desk.accounts.by_node(message.node)
        raise Refused(Reason.OFFLINE)
    issued, caller = introduce(
        desk.endpoint.identity,
        message.request,
        visitor,
        target,
        nonces=desk.endpoint.random_bytes(2 * NONCE_BYTES),
        unix_now=desk.unix_now(),
    )
    target.channel.post(caller)
    return issued


COMMANDS: dict[type[Message], Command] = {
    index.Search: Command(search, "searches_per_minute", limits.SEARCHES_OPEN_MAX),
    index.FindSources: Command(find_sources, "sources_per_minute"),
    index.Publish: Command(publish, "publishes_per_minute"),
    index.Rename: Command(rename, "renames_per_minute", open_max=1),
    index.LookUp: Command(look_up, "lookups_per_minute"),
    index.ReportReceipts: Command(report_receipts, "receipt_reports_per_minute", open_max=1),
    index.Listen: Command(listen, "port_tests_per_minute", open_max=1),
    index.AskTicket: Command(ask_ticket, "tickets_per_minute"),
}
