"""What a typed query means."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from index_server.query import SearchQuery, parse_search_untrusted
from p2pshare import limits
from p2pshare.errors import Reason, Refused
from p2pshare.kinds import FileKind
from p2pshare.wire.index import Search


def parsed(text: str, **filters: Any) -> SearchQuery:
    return parse_search_untrusted(Search(request=1, query=text, **filters))


def refused(text: str, **filters: Any) -> str:
    with pytest.raises(Refused) as caught:
        parsed(text, **filters)
    assert caught.value.reason is Reason.BAD_QUERY
    return caught.value.text


def test_words_are_folded_and_stand_once() -> None:
    assert parsed("  Beyoncé LOVE beyonce ") == SearchQuery(
        words=("beyonce", "love"), typed="beyonce love beyonce"
    )


def test_a_quoted_phrase_is_its_words_and_their_order() -> None:
    query = parsed('live "Wu Tang" 1993')
    assert query.words == ("live", "wu", "tang", "1993")
    assert query.phrases == ("wu tang",)


@pytest.mark.parametrize("text", ["wu-tang", "Wu_Tang", '"wu tang"', "(wu.tang)", '"wu-tang', '""wu-tang""'])
def test_punctuation_inside_a_token_makes_a_phrase(text: str) -> None:
    assert parsed(text) == SearchQuery(words=("wu", "tang"), phrases=("wu tang",), typed="wu tang")


def test_minus_excludes_words_and_phrases() -> None:
    query = parsed('wu -live -"radio edit" -hip-hop')
    assert query.words == ("wu",)
    assert query.excluded_words == ("live",)
    assert query.excluded_phrases == ("radio edit", "hip hop")


@pytest.mark.parametrize("text", ["wu - live", "wu --live", "wu-live", "wu -- live", 'wu-"live"'])
def test_minus_elsewhere_is_punctuation(text: str) -> None:
    assert parsed(text).words == ("wu", "live")


def test_a_phrase_of_one_word_is_a_word() -> None:
    assert parsed('"wu"') == parsed("wu")


def test_scripts_without_spaces_are_searched_as_phrases() -> None:
    assert parsed("日本").phrases == ("日 本",)


def test_filters_are_taken_over_with_extensions_in_lower_case() -> None:
    query = parsed("wu", kinds=(FileKind.AUDIO,), extensions=("MP3",), size_min=1, size_max=2)
    assert query.kinds == {FileKind.AUDIO} and query.extensions == {"mp3"}
    assert (query.size_min, query.size_max) == (1, 2)


@pytest.mark.parametrize("text", ["", "   ", "& ...", '""', "-live", '-"a b" -c', "-"])
def test_a_query_without_a_word_is_refused_even_with_a_filter(text: str) -> None:
    assert "at least one word" in refused(text, kinds=(FileKind.AUDIO,))


def test_filters_that_make_no_sense_are_refused_in_words() -> None:
    assert "Swap" in refused("wu", size_min=2, size_max=1)
    assert "mp3" in refused("wu", extensions=(".mp3",))
    assert "16" in refused(" ".join(f"-w{number}" for number in range(16)) + " wu")


@given(st.text().filter(lambda text: len(text.encode("utf-8", "replace")) <= limits.QUERY_BYTES_MAX))
def test_any_text_is_a_query_or_refused(text: str) -> None:
    try:
        query = parsed(text)
    except Refused as error:
        assert error.reason is Reason.BAD_QUERY
        return
    assert query.words
    for phrase in query.phrases:
        assert set(phrase.split()) <= set(query.words)
