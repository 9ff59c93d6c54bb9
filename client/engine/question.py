"""What an index server is asked, from what a person chose. PURE."""

from __future__ import annotations

import re
from collections.abc import Collection

from client.engine.search_view import SearchFilters
from p2pshare.errors import LocalTrouble
from p2pshare.identity import NodeId
from p2pshare.kinds import FileKind
from p2pshare.limits import (
    CONTACTS_PER_SEARCH_MAX,
    EXTENSION_BYTES_MAX,
    FILE_BYTES_MAX,
    QUERY_BYTES_MAX,
    SEARCH_PAGE_MAX,
)
from p2pshare.wire.fields import NO_FILTERS, Filters, SortBy
from p2pshare.wire.index import Search

_CONTACTS = re.compile(r"(?<![^\s(-])contacts:", re.IGNORECASE)


def question_of(
    query: str, chosen: SearchFilters, sort: str, limit: int, contacts: Collection[NodeId]
) -> Search:
    """The first page. Who the contacts are is told only if the query needs it. Raises `LocalTrouble`."""
    wants_contacts = _CONTACTS.search(query) is not None
    if wants_contacts and not contacts:
        raise LocalTrouble(
            "Nobody is in your group of contacts, so `contacts:` finds nothing."
            " Put somebody there with `p2pshare group PERSON contacts`."
        )
    return Search(
        request=1,  # each server's connection has numbers of its own
        query=_within(query, QUERY_BYTES_MAX, "The query"),
        filters=_filters(chosen),
        sort=_sort(sort),
        limit=min(limit, SEARCH_PAGE_MAX),
        contacts=tuple(sorted(contacts))[:CONTACTS_PER_SEARCH_MAX] if wants_contacts else (),
    )


def _filters(chosen: SearchFilters) -> Filters:
    widest = NO_FILTERS
    extensions = [_within(each.lower(), EXTENSION_BYTES_MAX, "An extension") for each in chosen.extensions]
    return Filters(
        kinds=tuple(_kind(kind) for kind in chosen.kinds),
        extensions=tuple(extensions),
        size_min=_fit(chosen.size_min, FILE_BYTES_MAX),
        size_max=_fit(chosen.size_max, widest.size_max),
        length_min_s=_fit(chosen.length_min_s, widest.length_max_s),
        length_max_s=_fit(chosen.length_max_s, widest.length_max_s),
        bitrate_min_kbps=_fit(chosen.bitrate_min_kbps, widest.bitrate_max_kbps),
        year_min=_fit(chosen.year_min, widest.year_max),
        year_max=_fit(chosen.year_max, widest.year_max),
        lossless=chosen.lossless,
        free=chosen.free,
        sources_min=max(chosen.sources_min, 0),
    )


def _fit(number: int | None, highest: int) -> int:
    return highest if number is None else min(max(number, 0), highest)


def _kind(name: str) -> FileKind:
    try:
        return FileKind[name.upper()]
    except KeyError:
        names = ", ".join(kind.name.lower() for kind in FileKind)
        raise LocalTrouble(f'There is no kind "{name}". The kinds are: {names}.') from None


def _sort(name: str) -> SortBy:
    try:
        return SortBy[name.upper()]
    except KeyError:
        names = ", ".join(sort.name.lower() for sort in SortBy)
        raise LocalTrouble(f'Nothing is sorted by "{name}". Results can be sorted by: {names}.') from None


def _within(text: str, bytes_max: int, what: str) -> str:
    if len(text.encode()) > bytes_max:
        raise LocalTrouble(f"{what} is too long: at most {bytes_max} bytes can be asked for.")
    return text
