"""The catalogue against an oracle that goes through all offers one by one."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pyroaring import BitMap

from index_server import ranking
from index_server.bitslices import BitSlices
from index_server.catalogue import Catalogue, Gone
from index_server.entry import Entry, entry_untrusted, search_text
from index_server.query import SearchQuery, parse_search_untrusted
from p2pshare.hashing import FileId
from p2pshare.kinds import FileKind, extension_of, kind_of
from p2pshare.names import search_words
from p2pshare.wire.fields import NO_TAGS, Offer, Tags
from p2pshare.wire.index import Search

ACCOUNTS = (1, 2, 3, 4)
FILES = tuple(FileId(bytes([number]) * 32) for number in range(5))
WORDS = ("wu", "tang", "clan", "é", "live")  # few, so that they meet
EXTENSIONS = (".mp3", ".flac", ".txt", "")

words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4)
phrases = words.map(" ".join)
offers = st.builds(
    Offer,
    offer=st.integers(0, 5),
    path=st.builds(
        lambda folder, name, extension: f"{folder}{name}{extension}",
        st.one_of(st.just(""), phrases.map(lambda text: f"{text}/")),
        st.builds(lambda separator, parts: separator.join(parts), st.sampled_from((" ", "-")), words),
        st.sampled_from(EXTENSIONS),
    ),
    size=st.sampled_from((0, 1, 7, 8, 1000)),
    file=st.one_of(st.none(), st.sampled_from(FILES)),
    tags=st.one_of(st.just(NO_TAGS), st.builds(Tags, artist=phrases, year=st.sampled_from((0, 1993)))),
    partial=st.booleans(),
)
terms = st.builds(
    lambda minus, text, form: minus + form.format(text),
    st.sampled_from(("", "", "", "-")),
    phrases,
    st.sampled_from(("{}", '"{}"')),
)
searches = st.builds(
    lambda first, rest, **filters: Search(request=1, query=" ".join([first, *rest]), **filters),
    st.sampled_from((*WORDS, "mp3", '"wu tang"', "wu-tang")),
    st.lists(terms, max_size=3),
    kinds=st.sampled_from(((), (FileKind.AUDIO,), (FileKind.DOCUMENT, FileKind.OTHER))),
    extensions=st.sampled_from(((), ("mp3", "txt"))),
    size_min=st.sampled_from((0, 1, 7, 8)),
    size_max=st.sampled_from((8, 999, 1000, 2**40)),
)


def side_by_side(phrase: str, text: str) -> bool:
    """The plain way: over all places where the phrase could begin, line by line."""
    wanted = phrase.split()
    lines = [line.split() for line in text.split("\n")]
    return any(line[at : at + len(wanted)] == wanted for line in lines for at in range(len(line)))


class Oracle:
    """All offers in a dictionary, and no index of any kind."""

    def __init__(self) -> None:
        self.offers: dict[tuple[int, int], Entry] = {}
        self.online: set[int] = set()

    def documents(self) -> dict[object, list[tuple[int, Entry]]]:
        grouped: dict[object, list[tuple[int, Entry]]] = defaultdict(list)
        for (account, offer), entry in self.offers.items():
            grouped[entry.file or (account, offer)].append((account, entry))
        return grouped

    def people(self, copies: list[tuple[int, Entry]]) -> set[int]:
        return {account for account, _ in copies} & self.online

    def matches(self, query: SearchQuery, copies: list[tuple[int, Entry]]) -> bool:
        entries = [entry for _, entry in copies]
        texts = [search_text(entry.path, entry.tags) for entry in entries]
        said = {word for text in texts for word in text.split()}
        return bool(
            self.people(copies)
            and said.issuperset(query.words)
            and not said & set(query.excluded_words)
            and all(any(side_by_side(phrase, text) for text in texts) for phrase in query.phrases)
            and not any(side_by_side(phrase, text) for text in texts for phrase in query.excluded_phrases)
            and (not query.kinds or query.kinds & {kind_of(entry.path) for entry in entries})
            and (not query.extensions or query.extensions & {extension_of(entry.path) for entry in entries})
            and query.size_min <= entries[0].size <= query.size_max
        )

    def points(self, query: SearchQuery, copies: list[tuple[int, Entry]]) -> int:
        names = [search_words(entry.path.rpartition("/")[2]) for _, entry in copies]
        typed = query.typed.split()
        named = {word for name in names for word in name}.issuperset(query.words)
        texts = [search_text(entry.path, entry.tags) for _, entry in copies]
        close = any(side_by_side(query.typed, text) for text in texts)
        exact = any(name[: len(typed)] == typed and len(name) <= len(typed) + 1 for name in names)
        doublings = len(self.people(copies)).bit_length() - 1
        return doublings + 3 * named + close + 3 * exact


class CatalogueAgainstOracle(RuleBasedStateMachine):
    """Nobody lies about a size here; for that see the unit tests."""

    @initialize(seed=st.integers(0, 2**32))
    def start(self, seed: int) -> None:
        self.catalogue = Catalogue(random.Random(seed))
        self.oracle = Oracle()

    @rule(
        account=st.sampled_from(ACCOUNTS),
        removed=st.sets(st.integers(0, 5)),
        added=st.lists(offers, max_size=6, unique_by=lambda offer: offer.offer),
    )
    def publish(self, account: int, removed: set[int], added: list[Offer]) -> None:
        entries = [entry_untrusted(offer) for offer in added]
        entries = [
            entry._replace(size=entry.file[0] * 4) if entry.file is not None else entry for entry in entries
        ]
        going = removed | {entry.offer for entry in entries}
        gone = [
            Gone(offer, self.oracle.offers.pop((account, offer)).file)
            for offer in sorted(going)
            if (account, offer) in self.oracle.offers
        ]
        self.oracle.offers |= {(account, entry.offer): entry for entry in entries}
        self.catalogue.publish(account, gone, entries)

    @rule(account=st.sampled_from(ACCOUNTS))
    def drop(self, account: int) -> None:
        self.catalogue.drop(account)
        self.oracle.offers = {key: entry for key, entry in self.oracle.offers.items() if key[0] != account}

    @rule(account=st.sampled_from(ACCOUNTS), online=st.booleans())
    def set_online(self, account: int, online: bool) -> None:
        self.catalogue.set_online(account, online)
        (self.oracle.online.add if online else self.oracle.online.discard)(account)

    @rule(search=searches, limit=st.integers(1, 5))
    def search(self, search: Search, limit: int) -> None:
        query = parse_search_untrusted(search)
        expected = {
            key: copies
            for key, copies in self.oracle.documents().items()
            if self.oracle.matches(query, copies)
        }
        points: list[int] = []
        found_keys: list[object] = []
        offset: int | None = 0
        while offset is not None:
            page = self.catalogue.search(query, offset=offset, limit=limit)
            assert page.total == len(expected)
            assert len(page.found) <= limit
            for found in page.found:
                key = found.file or (found.some[0].account, found.some[0].offer)
                copies = expected[key]
                online = [(who, entry) for who, entry in copies if who in self.oracle.online]
                assert found.sources == len(self.oracle.people(copies)) == len(found.some)
                assert {(one.account, one.offer, one.partial) for one in found.some} <= {
                    (who, entry.offer, entry.partial) for who, entry in online
                }
                assert found.path in {entry.path for _, entry in online}
                found_keys.append(key)
                points.append(self.oracle.points(query, copies))
            offset = page.next_offset
        assert len(found_keys) == len(set(found_keys)) == len(expected)
        assert points == sorted(points, reverse=True)

    @rule(asker=st.integers(0, 5), file=st.sampled_from(FILES), limit=st.integers(1, 5))
    def find_sources(self, asker: int, file: FileId, limit: int) -> None:
        copies = self.oracle.documents().get(file, [])
        people = self.oracle.people(copies) - {asker}
        total, some = self.catalogue.sources(file, asker=asker, limit=limit)
        assert total == len(people)
        assert len({holding.account for holding in some}) == len(some) == min(limit, total)
        assert all(self.oracle.offers[one.account, one.offer].file == file for one in some)

    @invariant()
    def counts_agree(self) -> None:
        assert len(self.catalogue) == len(self.oracle.documents())


TestCatalogueAgainstOracle = CatalogueAgainstOracle.TestCase
TestCatalogueAgainstOracle.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


numbers = st.dictionaries(st.integers(0, 70_000), st.integers(0, 2**41), max_size=30)


@given(numbers, numbers, st.integers(0, 2**42))
def test_bit_slices_tell_which_numbers_are_large(
    first: dict[int, int], values: dict[int, int], low: int
) -> None:
    slices = BitSlices()
    for document, number in first.items():
        slices.change(document, 0, number)
    for document, number in values.items():
        slices.change(document, first.get(document, 0), number)
    values = first | values
    everything = BitMap(values)
    assert {document: slices[document] for document in values} == values
    assert set(slices.at_least(low, everything)) == {one for one, number in values.items() if number >= low}
    assert set(slices.positive) == {one for one, number in values.items() if number}
    octaves = [(digit, set(members)) for digit, members in slices.octaves(everything)]
    assert [digit for digit, _ in octaves] == sorted(
        {n.bit_length() - 1 for n in values.values() if n}, reverse=True
    )
    for digit, members in octaves:
        assert members == {one for one, number in values.items() if number.bit_length() == digit + 1}


@given(st.lists(st.sets(st.integers(0, 20), min_size=1), max_size=40), st.randoms(use_true_random=False))
def test_bit_slices_count_like_a_counter(shelves: list[set[int]], rng: random.Random) -> None:
    slices, counter = BitSlices(), Counter[int]()
    for shelf in shelves:
        slices.increment(BitMap(shelf))
        counter.update(shelf)
    for shelf in rng.sample(shelves, len(shelves) // 2):
        slices.decrement(BitMap(shelf))
        counter.subtract(shelf)
    assert {document: slices[document] for document in range(21)} == {one: counter[one] for one in range(21)}
    assert set(slices.positive) == {one for one, count in counter.items() if count}


@given(numbers, st.sets(st.integers(0, 70_000)), st.integers(0, 40), st.integers(1, 40))
def test_places_in_the_bands_do_not_depend_on_how_they_are_cut(
    values: dict[int, int], named: set[int], start: int, count: int
) -> None:
    slices = BitSlices()
    for document, number in values.items():
        slices.change(document, 0, number)
    matches = slices.positive.copy()
    whole = ranking.best(matches, BitMap(named) & matches, slices, 0, 100)
    assert sorted(document for _, document in whole) == sorted(matches)
    assert [points for points, _ in whole] == sorted((points for points, _ in whole), reverse=True)
    assert (
        ranking.best(matches, BitMap(named) & matches, slices, start, count) == whole[start : start + count]
    )
