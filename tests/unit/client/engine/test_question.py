"""What a server is asked."""

from __future__ import annotations

import pytest

from client.engine.question import question_of
from client.engine.search_view import NO_FILTERS, SearchFilters
from p2pshare.errors import LocalTrouble
from p2pshare.identity import NodeId
from p2pshare.kinds import FileKind
from p2pshare.limits import CONTACTS_PER_SEARCH_MAX, FILE_BYTES_MAX, QUERY_BYTES_MAX, SEARCH_PAGE_MAX
from p2pshare.wire import fields
from p2pshare.wire.fields import Filters, SortBy

BOB = NodeId(b"b" * 32)


def test_what_was_not_chosen_narrows_nothing_down() -> None:
    question = question_of("wu", NO_FILTERS, "relevance", 1_000, [BOB])
    assert question.filters == fields.NO_FILTERS
    assert (question.limit, question.contacts) == (SEARCH_PAGE_MAX, ())


def test_what_was_chosen_is_asked_for() -> None:
    chosen = SearchFilters(
        kinds=("audio",), extensions=("FLAC",), size_min=-5, size_max=2**60, year_max=1960, lossless=True
    )
    question = question_of("wu", chosen, "smallest", 5, ())
    assert question.filters == Filters(
        kinds=(FileKind.AUDIO,), extensions=("flac",), size_max=FILE_BYTES_MAX, year_max=1960, lossless=True
    )
    assert (question.sort, question.limit) == (SortBy.SMALLEST, 5)


@pytest.mark.parametrize("query", ["contacts:", "wu -contacts:", "wu (CONTACTS: OR tang)"])
def test_contacts_are_told_when_the_query_needs_them(query: str) -> None:
    assert question_of(query, NO_FILTERS, "relevance", 5, [BOB]).contacts == (BOB,)
    many = [NodeId(number.to_bytes(32, "big")) for number in range(CONTACTS_PER_SEARCH_MAX + 1)]
    assert len(question_of(query, NO_FILTERS, "relevance", 5, many).contacts) == CONTACTS_PER_SEARCH_MAX
    with pytest.raises(LocalTrouble, match="group"):
        question_of(query, NO_FILTERS, "relevance", 5, ())


@pytest.mark.parametrize(
    ("query", "chosen", "sort", "hint"),
    [
        ("wu", SearchFilters(kinds=("song",)), "relevance", "The kinds are"),
        ("wu", SearchFilters(extensions=("x" * 99,)), "relevance", "too long"),
        ("wu", NO_FILTERS, "colour", "smallest"),
        ("w" * (QUERY_BYTES_MAX + 1), NO_FILTERS, "relevance", "too long"),
    ],
)
def test_what_cannot_be_asked_is_told(query: str, chosen: SearchFilters, sort: str, hint: str) -> None:
    with pytest.raises(LocalTrouble, match=hint):
        question_of(query, chosen, sort, 5, ())
