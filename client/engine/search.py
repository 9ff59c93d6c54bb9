"""What several index servers found, made into one list, and kept for a later `get NUMBER`.

The same content is one result, whatever its names and whoever listed it; a file that is not hashed yet is one
result for each person who offers it. A result that more servers rank higher stands higher.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import asdict, replace
from functools import reduce
from operator import or_
from typing import NamedTuple, TypeVar

import msgspec

from client.engine.search_view import FacetsView, FacetView
from client.engine.status import ResultView, SourceView, TagsView
from p2pshare.hashing import FileId, format_file_id
from p2pshare.identity import NodeId, format_node_id
from p2pshare.limits import FILE_BYTES_MAX
from p2pshare.links import FileLink, format_link
from p2pshare.names import safe_leaf_name
from p2pshare.wire.fields import Doubt, FacetCounts, Hit, Source, Tags
from p2pshare.wire.index import Search
from p2pshare.wire.schema import decode_untrusted, dump, encode

K = TypeVar("K", bound=Hashable)
RANK_SOFTENER = 10  # reciprocal rank fusion: lower would let the first place of one server decide alone

Key = tuple[FileId | None, NodeId | None, int]


def merge_hits(
    answers: Sequence[tuple[NodeId, Sequence[Hit]]],
    *,
    limit: int | None = None,
    have: Collection[FileId],
    had: Collection[FileId] = (),
    contacts: Collection[NodeId] = (),
    first: int = 1,
) -> tuple[ResultView, ...]:
    """One list from the hits of each server, best first, numbered from `first`.

    `have` and `had` are file ids that are or were here, `contacts` the people whom the person trusts.
    """
    scores: dict[Key, float] = {}
    found: dict[Key, list[tuple[NodeId, Hit]]] = {}
    for server, hits in answers:
        for rank, hit in enumerate(hits):
            key = _key(hit)
            scores[key] = scores.get(key, 0.0) + 1.0 / (RANK_SOFTENER + rank)
            found.setdefault(key, []).append((server, hit))
    best = sorted(found, key=lambda key: scores[key], reverse=True)[:limit]
    results = (_result(number, found[key], contacts) for number, key in enumerate(best, start=first))
    return tuple(
        replace(result, have=key[0] in have, had=key[0] in had and key[0] not in have)
        for result, key in zip(results, best, strict=True)
    )


def _key(hit: Hit) -> Key:
    if hit.file is not None or not hit.some:
        return hit.file, None, 0
    return None, hit.some[0].node, hit.some[0].offer


def _result(number: int, seen: Sequence[tuple[NodeId, Hit]], contacts: Collection[NodeId]) -> ResultView:
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
        have=False,
        link=file_link(hit.file, name, hit.size) if hit.file is not None else None,
        names=tuple(dict.fromkeys(each for _, one in seen for each in one.names if each != name)),
        free=max(max(each.free for _, each in seen), sum(source.wait_s == 0 for source in sources.values())),
        contacts=max(max(each.contacts for _, each in seen), sum(node in contacts for node in sources)),
        doubts=doubts_named(reduce(or_, (each.doubts for _, each in seen))),
    )


def doubts_named(mask: int) -> tuple[str, ...]:
    """What a server found doubtful; what is not known here is left out."""
    return tuple(doubt.name.lower() for doubt in Doubt if mask & doubt)


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
        wait_s=source.wait_s,
        speed=source.speed.name.lower(),
    )


def facets_view(counts: Sequence[FacetCounts]) -> FacetsView:
    """Of several servers: the same files may be on each, so the counts do not add up."""
    kinds: dict[str, int] = {}
    extensions: dict[str, int] = {}
    sizes: dict[tuple[int, int], int] = {}
    for one in counts:
        _most(kinds, [(each.kind.name.lower(), each.files) for each in one.kinds])
        _most(extensions, [(each.extension, each.files) for each in one.extensions])
        _most(sizes, [((each.size_min, each.size_max), each.files) for each in one.sizes])
    return FacetsView(
        kinds=_by_count(kinds),
        extensions=_by_count(extensions),
        sizes=tuple(FacetView(_band(*band), sizes[band]) for band in sorted(sizes)),
    )


def _most(counts: dict[K, int], more: Iterable[tuple[K, int]]) -> None:
    for key, files in more:
        counts[key] = max(files, counts.get(key, 0))


def _by_count(counts: dict[str, int]) -> tuple[FacetView, ...]:
    return tuple(FacetView(name, counts[name]) for name in sorted(counts, key=lambda name: -counts[name]))


def _band(size_min: int, size_max: int) -> str:
    """What to type for sizes from the one to the other."""
    upper = _short(size_max + 1) if size_max < FILE_BYTES_MAX else ""
    return f"{_short(size_min) if size_min else ''}..{upper}"


def _short(size: int) -> str:
    for unit, step in (("g", 10**9), ("m", 10**6), ("k", 10**3)):
        if size >= step and size % step == 0:
            return f"{size // step}{unit}"
    return str(size)


def tags_view(tags: Tags) -> TagsView:
    return TagsView(*dump(tags))


# --- keeping results for a later `get NUMBER` -------------------------------------------------------------


class Continued(NamedTuple):
    """How a search goes on with the next page."""

    query: str
    total: int
    shown: int
    """How many results of those that are kept."""
    questions: dict[NodeId, Search]
    """What to ask each server that has more."""


def keep_results(connection: sqlite3.Connection, results: Iterable[ResultView]) -> None:
    """Replace what the last search found."""
    connection.execute("DELETE FROM kept_result")
    connection.execute("DELETE FROM kept_search")
    add_results(connection, results)


def add_results(connection: sqlite3.Connection, results: Iterable[ResultView]) -> None:
    """Further results of the last search."""
    connection.executemany(
        "INSERT INTO kept_result(number, body) VALUES (?, ?)",
        [(result.number, msgspec.json.encode(asdict(result))) for result in results],
    )


def kept_result(connection: sqlite3.Connection, number: int) -> ResultView | None:
    """A result of the last search, by the number it was shown under."""
    row = connection.execute("SELECT body FROM kept_result WHERE number = ?", (number,)).fetchone()
    return msgspec.json.decode(row[0], type=ResultView) if row is not None else None


def kept_results(connection: sqlite3.Connection) -> tuple[ResultView, ...]:
    """All of them, by number."""
    rows = connection.execute("SELECT body FROM kept_result ORDER BY number")
    return tuple(msgspec.json.decode(body, type=ResultView) for (body,) in rows)


def keep_search(connection: sqlite3.Connection, continued: Continued) -> None:
    """Where the last search stands."""
    connection.execute("DELETE FROM kept_search")
    questions: dict[bytes, bytes] = {node: encode(asked) for node, asked in continued.questions.items()}
    connection.executemany(
        "INSERT INTO kept_search(server, question, query, total, shown) VALUES (?, ?, ?, ?, ?)",
        [
            (node, question, continued.query, continued.total, continued.shown)
            for node, question in (questions or {b"": b""}).items()
        ],
    )


def kept_search(connection: sqlite3.Connection) -> Continued | None:
    """Where the last search stands; None if there was none."""
    rows = connection.execute("SELECT server, question, query, total, shown FROM kept_search").fetchall()
    if not rows:
        return None
    questions = {
        NodeId(node): question
        for node, body, *_ in rows
        if node and isinstance(question := decode_untrusted(body), Search)
    }
    _, _, query, total, shown = rows[0]
    return Continued(query, total, shown, questions)
