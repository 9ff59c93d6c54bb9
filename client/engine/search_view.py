"""Frozen snapshots of a search: what a front chose, and what was found. More of them in status.py."""

from __future__ import annotations

from dataclasses import dataclass

from client.engine.status import ResultView


@dataclass(frozen=True)
class SearchFilters:
    """What narrows a search down, besides its query. None, 0 and empty: no limit."""

    kinds: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    size_min: int = 0
    size_max: int | None = None
    length_min_s: int = 0
    length_max_s: int | None = None
    bitrate_min_kbps: int = 0
    year_min: int = 0
    year_max: int | None = None
    lossless: bool = False
    free: bool = False  # somebody who holds it says that a slot is free
    sources_min: int = 0


NO_FILTERS = SearchFilters()


@dataclass(frozen=True)
class FacetView:
    """How many files that match are of one kind, extension or size."""

    name: str  # of the kind or extension; of a size what to type for it, as in "1m..10m"
    files: int


@dataclass(frozen=True)
class FacetsView:
    """What all files that match are like, most first; sizes from small to large."""

    kinds: tuple[FacetView, ...] = ()
    extensions: tuple[FacetView, ...] = ()
    sizes: tuple[FacetView, ...] = ()


NO_FACETS = FacetsView()


@dataclass(frozen=True)
class SearchView:
    """What a search found so far."""

    query: str
    total: int
    results: tuple[ResultView, ...]
    servers_asked: int
    problems: tuple[str, ...]  # one sentence per server that did not answer or refused
    more: bool  # further pages exist
    facets: FacetsView = NO_FACETS  # with the first page only
    suggestion: str = ""  # the query spelt so that it finds more, if it found little
    instead: bool = False  # it found nothing, and these are the results of the suggestion
    hidden: int = 0  # how many more match that rules of the servers hide
