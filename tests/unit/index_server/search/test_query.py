"""What a typed query means."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from index_server.search.expression import (
    CONTACTS,
    AllOf,
    AnyOf,
    HeldBy,
    Lossless,
    Not,
    Number,
    OfKind,
    Phrase,
    Prefix,
    WithExtension,
    Within,
    Word,
)
from index_server.search.query import SearchQuery, parse_search_untrusted
from p2pshare import limits
from p2pshare.errors import Reason, Refused
from p2pshare.kinds import FileKind
from p2pshare.wire.fields import Filters
from p2pshare.wire.index import Search


def parsed(text: str, **fields: Any) -> SearchQuery:
    return parse_search_untrusted(Search(request=1, query=text, **fields))


def refused(text: str, **fields: Any) -> str:
    with pytest.raises(Refused) as caught:
        parsed(text, **fields)
    assert caught.value.reason is Reason.BAD_QUERY
    return caught.value.text


def test_words_are_folded_and_must_all_occur() -> None:
    query = parsed("  Beyoncé LOVE ")
    assert query.wanted == AllOf((Word("beyonce"), Word("love")))
    assert query.typed == "beyonce love"


@pytest.mark.parametrize("text", ["wu-tang", "Wu_Tang", '"wu tang"', "(wu.tang)", '"wu-tang', '""wu-tang""'])
def test_quotes_and_punctuation_inside_a_token_make_a_phrase(text: str) -> None:
    assert parsed(text) == SearchQuery(Phrase("wu tang"), typed="wu tang")


def test_minus_excludes_words_phrases_filters_and_groups() -> None:
    query = parsed('wu -live -"radio edit" -kind:video -(hip OR hop)')
    assert query.wanted == AllOf(
        (
            Word("wu"),
            Not(Word("live")),
            Not(Phrase("radio edit")),
            Not(OfKind(frozenset({FileKind.VIDEO}))),
            Not(AnyOf((Word("hip"), Word("hop")))),
        )
    )
    assert query.typed == "wu" and [spelt.words for spelt in query.spelt] == [("wu",)]


@pytest.mark.parametrize("text", ["wu - live", "wu --live", "wu -- live", 'wu-"live"'])
def test_minus_elsewhere_is_punctuation(text: str) -> None:
    assert parsed(text).wanted == AllOf((Word("wu"), Word("live")))


def test_a_phrase_of_one_word_is_a_word() -> None:
    assert parsed('"wu"') == parsed("wu")


def test_scripts_without_spaces_are_searched_as_phrases() -> None:
    assert parsed("日本").wanted == Phrase("日 本")


@pytest.mark.parametrize("text", ["wu tang OR clan", "(wu tang) | clan", "OR wu tang OR OR (clan OR) OR"])
def test_or_parts_alternatives_of_several_words(text: str) -> None:
    query = parsed(text)
    assert query.wanted == AnyOf((AllOf((Word("wu"), Word("tang"))), Word("clan")))
    assert query.typed == "", "no name can be just what was typed"


def test_groups_stand_inside_each_other_and_end_with_the_query() -> None:
    assert parsed("live (wu (tang OR clan").wanted == AllOf(
        (Word("live"), AllOf((Word("wu"), AnyOf((Word("tang"), Word("clan"))))))
    )
    assert "deep" in refused("(" * 20 + "wu")


def test_parentheses_within_names_are_punctuation() -> None:
    assert parsed("Song(live).mp3").wanted == Phrase("song live mp3")
    assert parsed("wu )").wanted == Word("wu")


def test_a_star_stands_for_the_rest_of_a_word() -> None:
    assert parsed("blu*").wanted == Prefix("blu")
    assert parsed("wu-ta*").wanted == AllOf((Word("wu"), Prefix("ta")))
    assert parsed("b*").wanted == Word("b"), "too short to say anything"
    assert parsed('"blu*"').wanted == Word("blu")


@pytest.mark.parametrize(
    "text", ["", "   ", "& ...", '""', "-live", '-"a b" -c', "-", "kind:audio", "-from:anna"]
)
def test_a_query_that_only_narrows_down_is_refused(text: str) -> None:
    assert "at least one word" in refused(text, filters=Filters(kinds=(FileKind.AUDIO,)))


def test_what_one_person_offers_can_be_listed_without_a_word() -> None:
    query = parsed("from:Anna kind:audio")
    assert query.people == {"Anna"}
    assert query.wanted == AllOf((HeldBy("Anna"), OfKind(frozenset({FileKind.AUDIO}))))
    assert parsed("contacts:").wanted == HeldBy(CONTACTS)


def test_fields_narrow_down_what_is_typed() -> None:
    filters = Filters(
        kinds=(FileKind.AUDIO,), extensions=("MP3",), size_min=1, size_max=2, year_min=1957, lossless=True
    )
    assert parsed("wu", filters=filters).wanted == AllOf(
        (
            Word("wu"),
            OfKind(frozenset({FileKind.AUDIO})),
            WithExtension(frozenset({"mp3"})),
            Within(Number.SIZE, 1, 2),
            Within(Number.YEAR, 1957, 9_999),
            Lossless(),
        )
    )


def test_what_makes_no_sense_is_refused_in_words() -> None:
    assert "Swap" in refused("wu", filters=Filters(size_min=2, size_max=1))
    assert "mp3" in refused("wu", filters=Filters(extensions=("m/p",)))
    assert "16" in refused(" ".join(f"-w{number}" for number in range(16)) + " wu")


def test_wanted_words_know_where_they_were_typed() -> None:
    text = 'live -bad "Wu Tang" (clan)'
    assert [(spelt.words, text[spelt.start : spelt.end]) for spelt in parsed(text).spelt] == [
        (("live",), "live"),
        (("wu", "tang"), '"Wu Tang"'),
        (("clan",), "clan"),
    ]


@given(
    st.lists(
        st.one_of(
            st.text(max_size=8), st.sampled_from(("OR", "(", ")", "-", '"', "size:>1", "kind:", "wu*", " "))
        )
    ).map(" ".join)
)
def test_any_text_is_a_query_or_refused(text: str) -> None:
    if len(text.encode("utf-8", "replace")) > limits.QUERY_BYTES_MAX:
        return
    try:
        query = parsed(text)
    except Refused as error:
        assert error.reason is Reason.BAD_QUERY
        return
    assert query == parsed(text) and hash(query) == hash(parsed(text))
    for spelt in query.spelt:
        assert 0 <= spelt.start < spelt.end <= len(text)
