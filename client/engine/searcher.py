"""Searching: every index server is asked, and what they found becomes one list (see search.py)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import trio

from client.engine.groups import Group, members
from client.engine.network.servers import ServerLink, Servers
from client.engine.question import question_of
from client.engine.search import (
    Continued,
    add_results,
    facets_view,
    keep_results,
    keep_search,
    kept_results,
    kept_search,
    merge_hits,
)
from client.engine.search_view import SearchFilters, SearchView
from client.engine.shares.shares import Shares
from client.engine.status import ResultView
from p2pshare.database import Database
from p2pshare.errors import Disconnected, LocalTrouble, Refused
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.limits import SEARCH_PAGE_MAX
from p2pshare.wire.fields import FacetCounts, Hit
from p2pshare.wire.index import Search, SearchHits


@dataclass(frozen=True)
class Answer:
    """What one server said."""

    server: NodeId
    hits: tuple[Hit, ...]
    total: int
    facets: FacetCounts
    suggestion: str
    instead: bool
    hidden: int
    next: Search | None
    """What to ask for more."""


class Searcher:
    """Asks every server and makes one list of the answers."""

    def __init__(self, database: Database, servers: Servers, shares: Shares) -> None:
        self._database = database
        self._servers = servers
        self._shares = shares

    async def search(self, query: str, filters: SearchFilters, sort: str, limit: int) -> SearchView:
        """See `Face.search`. Raises `LocalTrouble` if nobody can be asked, or the query makes no sense."""
        contacts = await self._database.read(_contacts)
        question = question_of(query, filters, sort, limit, contacts)
        asked = self._servers.online()
        if not asked:
            raise LocalTrouble(
                "No index server is connected, so nobody can be asked. `p2pshare status` says why."
            )
        answers, problems = await self._ask({link: question for link in asked}, limit)
        spelt = next((answer.suggestion for answer in answers if answer.suggestion), "")
        if not all(answer.instead for answer in answers):
            # What one server knows needs no guesses of another.
            answers = [answer for answer in answers if not answer.instead]
        results = await self._merged(answers, contacts, first=1)
        total = max((answer.total for answer in answers), default=0)
        more = {answer.server: answer.next for answer in answers if answer.next is not None}
        continued = Continued(query, total, min(limit, len(results)), more)
        await self._database.write(_keep, results, continued)
        return SearchView(
            query=query,
            total=total,
            results=results[:limit],
            servers_asked=len(asked),
            problems=tuple(problems),
            more=bool(more) or len(results) > limit,
            facets=facets_view([answer.facets for answer in answers]),
            suggestion=spelt,
            instead=bool(answers) and all(answer.instead for answer in answers),
            hidden=max((answer.hidden for answer in answers), default=0),
        )

    async def search_more(self, limit: int) -> SearchView:
        """See `Face.search_more`. Raises `LocalTrouble` if there was no search, or nobody can be asked."""
        kept: tuple[ResultView, ...] = await self._database.read(kept_results)
        state: Continued | None = await self._database.read(kept_search)
        if state is None:
            raise LocalTrouble("There is no search to go on with. Search for something first.")
        questions, problems = state.questions, list[str]()
        asked = {link: questions[link.node] for link in self._servers.online() if link.node in questions}
        more: tuple[ResultView, ...] = ()
        if len(kept) < state.shown + limit and asked:
            answers, problems = await self._ask(asked, limit)
            contacts = await self._database.read(_contacts)
            known = {_identity(result) for result in kept}
            merged = await self._merged(answers, contacts, first=1)
            fresh = [result for result in merged if _identity(result) not in known]
            more = tuple(replace(result, number=len(kept) + place) for place, result in enumerate(fresh, 1))
            over = {answer.server for answer in answers if answer.next is None}
            questions = {node: question for node, question in questions.items() if node not in over}
            questions |= {answer.server: answer.next for answer in answers if answer.next is not None}
        results = kept + more
        page = results[state.shown : state.shown + limit]
        shown = state.shown + len(page)
        await self._database.write(_keep_more, more, state._replace(shown=shown, questions=questions))
        return SearchView(
            query=state.query,
            total=state.total,
            results=page,
            servers_asked=len(asked),
            problems=tuple(problems),
            more=bool(questions) or len(results) > shown,
        )

    async def _ask(
        self, questions: Mapping[ServerLink, Search], limit: int
    ) -> tuple[list[Answer], list[str]]:
        """(the answers, a sentence for each server that gave none)"""
        answers: list[Answer] = []
        problems: list[str] = []

        async def ask(link: ServerLink, question: Search) -> None:
            try:
                answers.append(await _pages(link, question, limit))
            except (Refused, Disconnected) as error:
                problems.append(f"{link.view().name or link.view().address}: {error}")

        async with trio.open_nursery() as nursery:
            for link, question in questions.items():
                nursery.start_soon(ask, link, question)
        return answers, problems

    async def _merged(
        self, answers: Iterable[Answer], contacts: frozenset[NodeId], first: int
    ) -> tuple[ResultView, ...]:
        found = [(answer.server, answer.hits) for answer in answers]
        files = {hit.file for _, hits in found for hit in hits if hit.file is not None}
        have = await self._shares.held_among(files)
        had = await self._database.read(_had_among, files)
        return merge_hits(found, have=have, had=had, contacts=contacts, first=first)


async def _pages(link: ServerLink, question: Search, limit: int) -> Answer:
    """The next `limit` hits of one server."""
    hits: list[Hit] = []
    first: SearchHits | None = None
    while True:
        wanted = min(limit - len(hits), SEARCH_PAGE_MAX)
        page: SearchHits = await link.ask(partial(_with_request, replace(question, limit=wanted)))
        first = first or page
        hits += page.hits
        spelt = first.suggestion if first.instead else question.query
        question = replace(question, query=spelt, cursor=page.cursor)
        if len(hits) >= limit or not page.cursor or not page.hits:
            return Answer(
                server=link.node,
                hits=tuple(hits),
                total=first.total,
                facets=first.facets,
                suggestion=first.suggestion,
                instead=first.instead,
                hidden=first.hidden,
                next=question if page.cursor and page.hits else None,
            )


def _with_request(question: Search, request: int) -> Search:
    return replace(question, request=request)


def _identity(result: ResultView) -> tuple[str | None, str, int]:
    """The same for the same content; for a file that is not hashed, for the same offer."""
    if result.file is not None or not result.sources:
        return result.file, "", 0
    return None, result.sources[0].person, result.sources[0].offer


# --- units ------------------------------------------------------------------------------------------------


def _contacts(connection: sqlite3.Connection) -> frozenset[NodeId]:
    trusted = (Group.CONTACTS, Group.TRUSTED)
    return frozenset(member.node for member in members(connection) if member.group in trusted)


def _had_among(connection: sqlite3.Connection, files: Iterable[FileId]) -> frozenset[FileId]:
    """Those that were ever hashed here, as far back as that is remembered."""
    query = "SELECT 1 FROM hash_cache WHERE file_id = ? LIMIT 1"
    return frozenset(file for file in files if connection.execute(query, (file,)).fetchone())


def _keep(connection: sqlite3.Connection, results: tuple[ResultView, ...], continued: Continued) -> None:
    keep_results(connection, results)
    keep_search(connection, continued)


def _keep_more(connection: sqlite3.Connection, more: tuple[ResultView, ...], continued: Continued) -> None:
    add_results(connection, more)
    keep_search(connection, continued)
