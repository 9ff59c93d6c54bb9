"""Searching: every index server is asked, and what they found is made into one list.

The same content is one result, whatever its names and whoever listed it; a file that is not hashed yet is one
result for each person who offers it. A result that more servers rank higher stands higher.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial

import msgspec
import trio

from client.engine.network.servers import ServerLink, Servers
from client.engine.shares.shares import Shares
from client.engine.status import ResultView, SearchView, SourceView, TagsView
from p2pshare.database import Database
from p2pshare.errors import Disconnected, LocalTrouble, Refused
from p2pshare.hashing import FileId, format_file_id
from p2pshare.identity import NodeId, format_node_id
from p2pshare.kinds import FileKind
from p2pshare.limits import EXTENSION_BYTES_MAX, FILE_BYTES_MAX, QUERY_BYTES_MAX, SEARCH_PAGE_MAX
from p2pshare.links import FileLink, format_link
from p2pshare.names import safe_leaf_name
from p2pshare.wire.fields import Hit, Source, Tags
from p2pshare.wire.index import Search, SearchHits
from p2pshare.wire.schema import dump

RANK_SOFTENER = 10  # reciprocal rank fusion: lower would let the first place of one server decide alone

Key = tuple[FileId | None, NodeId | None, int]


def merge_hits(
    answers: Sequence[tuple[NodeId, Sequence[Hit]]], *, limit: int, have: Collection[FileId], first: int = 1
) -> tuple[ResultView, ...]:
    """One list from the hits of each server, best first, numbered from `first`; `have` are file ids held
    here.
    """
    scores: dict[Key, float] = {}
    found: dict[Key, list[tuple[NodeId, Hit]]] = {}
    for server, hits in answers:
        for rank, hit in enumerate(hits):
            key = _key(hit)
            scores[key] = scores.get(key, 0.0) + 1.0 / (RANK_SOFTENER + rank)
            found.setdefault(key, []).append((server, hit))
    best = sorted(found, key=lambda key: scores[key], reverse=True)[:limit]
    return tuple(_result(number, found[key], have) for number, key in enumerate(best, start=first))


def _key(hit: Hit) -> Key:
    if hit.file is not None or not hit.some:
        return hit.file, None, 0
    return None, hit.some[0].node, hit.some[0].offer


def _result(number: int, seen: Sequence[tuple[NodeId, Hit]], have: Collection[FileId]) -> ResultView:
    """`seen`: the same file on one or more servers."""
    _, hit = max(seen, key=lambda one: one[1].sources)
    folder, _, name = hit.path.rpartition("/")
    sources = {source.node: source_view(server, source) for server, each in seen for source in each.some}
    return ResultView(
        number=number,
        file=format_file_id(hit.file) if hit.file is not None else None,
        name=name,
        folder=folder,
        size=hit.size,
        kind=hit.kind.name.lower(),
        tags=tags_view(hit.tags),
        # People may be on several servers at once, so the counts of the servers do not add up.
        source_count=max(max(each.sources for _, each in seen), len(sources)),
        sources=tuple(sources.values()),
        have=hit.file in have,
        link=file_link(hit.file, name, hit.size) if hit.file is not None else None,
    )


def file_link(file: FileId, name: str, size: int) -> str:
    """A link that anybody can download the file with."""
    return format_link(FileLink(file, safe_leaf_name(name), size))


def source_view(server: NodeId, source: Source) -> SourceView:
    return SourceView(
        person=format_node_id(source.node),
        nick=source.nick,
        server=format_node_id(server),
        offer=source.offer,
        partial=source.partial,
        reachable=source.reachable,
    )


def tags_view(tags: Tags) -> TagsView:
    return TagsView(*dump(tags))


class Searcher:
    """Asks every server and makes one list of the answers."""

    def __init__(self, database: Database, servers: Servers, shares: Shares) -> None:
        self._database = database
        self._servers = servers
        self._shares = shares

    async def search(
        self,
        query: str,
        kinds: tuple[str, ...],
        extensions: tuple[str, ...],
        size_min: int,
        size_max: int | None,
        limit: int,
    ) -> SearchView:
        """See `Face.search`. Raises `LocalTrouble` if nobody can be asked, or the query makes no sense."""
        question = Search(
            request=1,  # each server's connection has numbers of its own
            query=_within(query, QUERY_BYTES_MAX, "The query"),
            kinds=tuple(_kind(kind) for kind in kinds),
            extensions=tuple(
                _within(each.lower(), EXTENSION_BYTES_MAX, "An extension") for each in extensions
            ),
            size_min=min(max(size_min, 0), FILE_BYTES_MAX),
            size_max=min(max(size_max, 0), FILE_BYTES_MAX) if size_max is not None else FILE_BYTES_MAX,
            limit=min(limit, SEARCH_PAGE_MAX),
        )
        asked = self._servers.online()
        if not asked:
            raise LocalTrouble(
                "No index server is connected, so nobody can be asked. `p2pshare status` says why."
            )
        found: list[tuple[NodeId, list[Hit]]] = []
        totals: list[int] = []
        problems: list[str] = []

        async def ask(link: ServerLink) -> None:
            try:
                hits, total = await _all_pages(link, question, limit)
            except (Refused, Disconnected) as error:
                problems.append(f"{link.view().name or link.view().address}: {error}")
            else:
                found.append((link.node, hits))
                totals.append(total)

        async with trio.open_nursery() as nursery:
            for link in asked:
                nursery.start_soon(ask, link)
        files = {hit.file for _, hits in found for hit in hits if hit.file is not None}
        have = await self._shares.held_among(files)
        results = merge_hits(found, limit=limit, have=have)
        await self._database.write(keep_results, results)
        return SearchView(
            query=query,
            total=max(totals, default=0),
            results=results,
            servers_asked=len(asked),
            problems=tuple(problems),
            more=max(totals, default=0) > len(results),
        )


async def _all_pages(link: ServerLink, question: Search, limit: int) -> tuple[list[Hit], int]:
    """(the best `limit` hits of one server, how many it has in all)."""
    hits: list[Hit] = []
    cursor = b""
    while True:
        page: SearchHits = await link.ask(partial(_with_request, question, cursor))
        hits += page.hits
        if len(hits) >= limit or not page.cursor or not page.hits:
            return hits[:limit], page.total
        cursor = page.cursor


def _with_request(question: Search, cursor: bytes, request: int) -> Search:
    return replace(question, request=request, cursor=cursor)


def _kind(name: str) -> FileKind:
    try:
        return FileKind[name.upper()]
    except KeyError:
        names = ", ".join(kind.name.lower() for kind in FileKind)
        raise LocalTrouble(f'There is no kind "{name}". The kinds are: {names}.') from None


def _within(text: str, bytes_max: int, what: str) -> str:
    if len(text.encode()) > bytes_max:
        raise LocalTrouble(f"{what} is too long: at most {bytes_max} bytes can be asked for.")
    return text


# --- keeping results for a later `get NUMBER` -------------------------------------------------------------


def keep_results(connection: sqlite3.Connection, results: Iterable[ResultView]) -> None:
    """Replace what the last search found."""
    connection.execute("DELETE FROM kept_result")
    connection.executemany(
        "INSERT INTO kept_result(number, body) VALUES (?, ?)",
        [(result.number, msgspec.json.encode(asdict(result))) for result in results],
    )


def kept_result(connection: sqlite3.Connection, number: int) -> ResultView | None:
    """A result of the last search, by the number it was shown under."""
    row = connection.execute("SELECT body FROM kept_result WHERE number = ?", (number,)).fetchone()
    return msgspec.json.decode(row[0], type=ResultView) if row is not None else None
