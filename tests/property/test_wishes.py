"""An offer is found for a wish exactly when a catalogue that holds nothing but this offer would find it."""

from __future__ import annotations

import random
from contextlib import suppress

import hypothesis.strategies as st
from hypothesis import given, settings

from index_server.search.catalogue import Catalogue
from index_server.search.entry import entry_untrusted, search_text
from index_server.search.query import SearchQuery, parse_search_untrusted
from index_server.wishes.matching import said_by
from index_server.wishes.percolator import Percolator
from index_server.wishes.wishes import wanted_untrusted
from p2pshare.errors import Refused
from p2pshare.hashing import FileId
from p2pshare.wire.fields import NO_TAGS, Offer, Tags
from p2pshare.wire.index import Search

WORDS = ("wu", "tang", "clan", "é", "wut", "1993", "久石")  # few, so that they meet
NICKS = ("anna", "bert")

words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4)
texts = st.builds(lambda separator, parts: separator.join(parts), st.sampled_from((" ", "-", "_")), words)
tags = st.builds(
    Tags,
    artist=texts,
    year=st.sampled_from((0, 1993)),
    length_s=st.sampled_from((0, 100, 200)),
    bitrate_kbps=st.sampled_from((0, 128, 320)),
    lossless=st.booleans(),
)
offers = st.builds(
    Offer,
    offer=st.integers(0, 5),
    path=st.builds(
        lambda folder, name, extension: f"{folder}{name}{extension}",
        st.one_of(st.just(""), texts.map(lambda text: f"{text}/")),
        texts,
        st.sampled_from((".mp3", ".FLAC", ".avi", "")),
    ),
    size=st.sampled_from((0, 999, 10_000_000)),
    file=st.one_of(st.none(), st.just(FileId(b"f" * 32))),
    tags=st.one_of(st.just(NO_TAGS), tags),
)
filters = st.sampled_from(
    (
        "kind:audio",
        "kind:video,audio",
        "ext:mp3",
        "size:>1m",
        "size:..999",
        "length:>=3min",
        "bitrate:128..256",
        "year:1993",
        "lossless:",
        *(f"from:{nick}" for nick in NICKS),
    )
)
terms = st.one_of(
    texts,
    texts.map(lambda text: f'"{text}"'),
    st.sampled_from(WORDS).map(lambda word: f"{word[:2]}*"),
    filters,
)
signed = st.builds(lambda minus, term: minus + term, st.sampled_from(("", "", "", "-")), terms)
together = st.lists(signed, min_size=1, max_size=3).map(" ".join)
queries = st.recursive(
    together,
    lambda inner: st.one_of(
        st.builds(lambda one, other: f"{one} OR {other}", inner, inner),
        st.builds(lambda one, other: f"({one}) {other}", inner, inner),
        st.builds(lambda one, other: f"{one} -({other})", inner, inner),
    ),
    max_leaves=3,
)


def catalogue_of(offer: Offer) -> Catalogue:
    """Account 1 is online, and offers this."""
    catalogue = Catalogue(random.Random(0))
    catalogue.publish(1, [], [entry_untrusted(offer)])
    catalogue.set_online(1, True)
    return catalogue


def finds(catalogue: Catalogue, query: SearchQuery, nick: str) -> bool:
    people = {each: frozenset({1} if each == nick else ()) for each in NICKS}
    return catalogue.search(query, people=people, limit=1).total == 1


@settings(max_examples=80, deadline=None)
@given(offers, st.lists(queries, min_size=1, max_size=12), st.sampled_from(NICKS), st.data())
def test_an_offer_is_found_for_the_wishes_by_which_a_catalogue_finds_it(
    offer: Offer, wished: list[str], nick: str, data: st.DataObject
) -> None:
    catalogue = catalogue_of(offer)
    frequency = data.draw(st.dictionaries(st.sampled_from(WORDS), st.integers(0, 3)))
    percolator = Percolator(lambda word: frequency.get(word, 0))
    expected = set()
    for wish, text in enumerate(wished):
        with suppress(Refused):  # too long, or without a word
            wanted = wanted_untrusted(text)
            percolator.add(wish, wanted)
            if finds(catalogue, parse_search_untrusted(Search(request=1, query=text)), nick):
                expected.add(wish)
    frequency.clear()
    for wish in data.draw(st.sets(st.integers(0, len(wished) - 1))):
        if wish in percolator._by_wish:
            percolator.refile(wish)
    gone = data.draw(st.sets(st.integers(0, len(wished) - 1)))
    for wish in gone:
        percolator.remove(wish)
    said = said_by(offer, nick)
    assert sorted(percolator.matching(said)) == sorted(expected - gone)


@given(offers)
def test_an_offer_is_read_as_the_catalogue_reads_it(offer: Offer) -> None:
    entry = entry_untrusted(offer)
    assert said_by(offer).text == search_text(entry.path, entry.tags)


@given(st.text(max_size=60))
def test_whatever_is_wished_for_is_kept_or_refused(text: str) -> None:
    with suppress(Refused):
        assert Percolator(len).has_room(wanted_untrusted(text))
