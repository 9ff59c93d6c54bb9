"""Everything a client can ask once it is logged in: one table, and one short handler for each row.

requests.py checks the columns of a row before it calls the handler, so a handler starts where the checks end.
It returns its one answer, or raises `Refused`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from index_server import searching
from index_server.accounts import Accounts
from index_server.admin import answers as account_answers
from index_server.admin.bulletin import Bulletin
from index_server.admin.registration import Registration
from index_server.broker import address_field, introduce
from index_server.budgets import Budgets
from index_server.config import Config
from index_server.credit import Credit
from index_server.manifests import Manifests
from index_server.measures import Measures
from index_server.online import Online, Visitor
from index_server.probe import PortTests
from index_server.rules import answers
from index_server.rules.moderation import Moderation
from index_server.search.catalogue import Catalogue
from index_server.wishes import answers as wish_answers
from index_server.wishes.wishes import Wishes
from p2pshare import limits
from p2pshare.addresses import Address
from p2pshare.database import Database
from p2pshare.errors import Reason, Refused
from p2pshare.tickets import NONCE_BYTES
from p2pshare.transport.endpoint import Endpoint
from p2pshare.wire import account, index, rules, wishes
from p2pshare.wire.schema import Message

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
    port_tests: PortTests
    unix_now: Callable[[], float]
    rules: Moderation
    database: Database
    registration: Registration
    bulletin: Bulletin
    measures: Measures
    wishes: Wishes


@dataclass(frozen=True)
class Command:
    """One row of the table."""

    handler: Callable[[Desk, Visitor, Any], Awaitable[Message]]
    budget: str
    """The key in [limits] that says how often a minute; up to "_per_minute" its name for people."""
    open_max: int = limits.REQUESTS_OPEN_MAX
    """How many of one connection may be under way at the same time."""


# --- offering --------------------------------------------------------------------------------------------


async def publish(desk: Desk, visitor: Visitor, message: index.Publish) -> index.Published:
    offers = await desk.manifests.publish(visitor.account, message)
    await desk.wishes.offered(visitor, message.added)
    desk.rules.newcomers.look(visitor.account, visitor.registered_at, offers, desk.unix_now())
    banned = desk.rules.count_banned([offer.file for offer in message.added])
    return index.Published(request=message.request, offers=offers, banned=banned)


# --- people ----------------------------------------------------------------------------------------------


async def rename(desk: Desk, visitor: Visitor, message: index.Rename) -> index.Renamed:
    await desk.accounts.rename(visitor.node, message.nick)
    visitor.nick, visitor.told = message.nick, None
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
    problem = await desk.port_tests.problem(address, visitor.node, again=visitor.port is not None)
    visitor.port, visitor.reachable, visitor.told = message.port, not problem, None
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
    target.post(caller)
    return issued


COMMANDS: dict[type[Message], Command] = {
    index.Search: Command(searching.search, "searches_per_minute", limits.SEARCHES_OPEN_MAX),
    index.FindSources: Command(searching.find_sources, "sources_per_minute"),
    index.Publish: Command(publish, "publishes_per_minute"),
    index.Rename: Command(rename, "renames_per_minute", open_max=1),
    index.LookUp: Command(look_up, "lookups_per_minute"),
    index.ReportReceipts: Command(report_receipts, "receipt_reports_per_minute", open_max=1),
    index.Listen: Command(listen, "port_tests_per_minute", open_max=1),
    index.AskTicket: Command(ask_ticket, "tickets_per_minute"),
    account.AskRecord: Command(account_answers.ask_record, "record_pages_per_minute"),
    account.EraseAccount: Command(account_answers.erase_account, "erasures_per_minute", open_max=1),
    rules.Moderate: Command(answers.moderate, "moderation_per_minute", open_max=1),
    rules.ListRules: Command(answers.list_rules, "moderation_per_minute"),
    rules.AskWhy: Command(answers.ask_why, "moderation_per_minute"),
    wishes.ChangeWishes: Command(wish_answers.change_wishes, "wish_changes_per_minute", open_max=1),
    wishes.TakeWishHits: Command(wish_answers.take_wish_hits, "wish_hits_per_minute", open_max=1),
}
