"""The catalogue against an oracle that goes through all offers one by one."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pyroaring import BitMap

from index_server.search import ranking
from index_server.search.bitslices import BitSlices
from index_server.search.catalogue import Catalogue, Gone
from index_server.search.entry import Entry, entry_untrusted, search_text, tags_of
from index_server.search.expression import (
    CONTACTS,
    AllOf,
    AnyOf,
    Expression,
    FreeNow,
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
from p2pshare.hashing import FileId
from p2pshare.kinds import FileKind, extension_of, kind_of
from p2pshare.names import search_words
from p2pshare.wire.fields import (
    NO_FILTERS,
    NO_TAGS,
    ExtensionCount,
    FacetCounts,
    Filters,
    KindCount,
    Offer,
    SizeCount,
    SortBy,
    SpeedClass,
    Tags,
)
from p2pshare.wire.index import Search

ACCOUNTS = (1, 2, 3, 4)
FILES = tuple(FileId(bytes([number]) * 32) for number in range(5))
WORDS = ("wu", "tang", "clan", "é", "live")  # few, so that they meet
PEOPLE = {"one": frozenset({1}), CONTACTS: frozenset({2, 3})}
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
    changed=st.sampled_from((0, 5, 9)),
    tags=st.one_of(
        st.just(NO_TAGS),
        st.builds(
            Tags,
            artist=phrases,
            year=st.sampled_from((0, 1993)),
            length_s=st.sampled_from((0, 60, 61)),
            bitrate_kbps=st.sampled_from((0, 192, 320)),
            lossless=st.booleans(),
        ),
    ),
    partial=st.booleans(),
)
filters = st.sampled_from(
    (
        *("kind:audio", "kind:document,other", "ext:mp3,txt", "lossless:", "free:", "contacts:", "from:one"),
        *("size:>1", "size:1..8", "size:<8", "length:1min", "length:>=61", "bitrate:>192", "bitrate:..192"),
        *("year:1993", "year:..1992", "sources:>=2", "sources:..1"),
    )
)
begun = st.sampled_from(("wu*", "cl*", "ta*", "li*", "xy*"))
terms = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(("", "", "", "-")),
        st.one_of(st.sampled_from(WORDS), phrases.map('"{}"'.format), filters, begun),
    ),
)
groups = st.builds(
    lambda minus, inner: f"{minus}({inner})",
    st.sampled_from(("", "-")),
    st.lists(terms, min_size=1, max_size=2).map(" OR ".join),
)
searches = st.builds(
    lambda first, glue, rest, **fields: Search(request=1, query=glue.join([first, *rest]), **fields),
    st.sampled_from((*WORDS, "mp3", '"wu tang"', "wu-tang", "cl*", "from:one", "contacts:")),
    st.sampled_from((" ", " ", " ", " OR ")),
    st.lists(st.one_of(terms, groups), max_size=3),
    filters=st.one_of(
        st.just(NO_FILTERS),
        st.builds(
            Filters,
            kinds=st.sampled_from(((), (FileKind.AUDIO,), (FileKind.DOCUMENT, FileKind.OTHER))),
            extensions=st.sampled_from(((), ("mp3", "txt"))),
            size_min=st.sampled_from((0, 1, 7, 8)),
            size_max=st.sampled_from((8, 999, 1000, 2**40)),
            year_min=st.sampled_from((0, 1990)),
            length_max_s=st.sampled_from((60, 2**31 - 1)),
            bitrate_min_kbps=st.sampled_from((0, 320)),
            lossless=st.booleans(),
            free=st.booleans(),
            sources_min=st.sampled_from((0, 2)),
        ),
    ),
)


def side_by_side(phrase: str, text: str) -> bool:
    """The plain way: over all places where the phrase could begin, line by line."""
    wanted = phrase.split()
    lines = [line.split() for line in text.split("\n")]
    return any(line[at : at + len(wanted)] == wanted for line in lines for at in range(len(line)))


Copies = list[tuple[int, Entry]]
"""Of one document, in the order of account and offer."""


class Oracle:
    """All offers in a dictionary, and no index of any kind."""

    def __init__(self) -> None:
        self.offers: dict[tuple[int, int], Entry] = {}
        self.online: set[int] = set()
        self.free: set[int] = set()
        self.speeds: dict[int, SpeedClass] = {}

    def documents(self) -> dict[object, Copies]:
        grouped: dict[object, Copies] = defaultdict(list)
        for (account, offer), entry in sorted(self.offers.items()):
            grouped[entry.file or (account, offer)].append((account, entry))
        return grouped

    def people(self, copies: Copies) -> set[int]:
        return {account for account, _ in copies} & self.online

    def holds(self, wanted: Expression, copies: Copies, *, in_name: bool = False) -> bool:
        """Part by part; `in_name`: words count in names only, and whatever is no word is taken as given."""
        entries = [entry for _, entry in copies]
        texts = [search_text(entry.path, entry.tags) for entry in entries]
        if in_name:
            texts = [text.partition("\n")[0] for text in texts]
        said = {word for text in texts for word in text.split()}
        match wanted:
            case Word(word):
                return word in said
            case Prefix(start):
                return any(word.startswith(start) for word in said)
            case Phrase(phrase):
                return said.issuperset(phrase.split()) and (
                    in_name or any(side_by_side(phrase, text) for text in texts)
                )
            case AllOf(parts):
                return all(self.holds(part, copies, in_name=in_name) for part in parts)
            case AnyOf(parts):
                return any(self.holds(part, copies, in_name=in_name) for part in parts)
            case _ if in_name:
                return True
            case Not(of):
                return not self.holds(of, copies)
            case OfKind(kinds):
                return bool(kinds & {kind_of(entry.path) for entry in entries})
            case WithExtension(extensions):
                return bool(extensions & {extension_of(entry.path) for entry in entries})
            case Within(number, low, high):
                return low <= self.number(number, copies) <= high
            case Lossless():
                return self.tags(copies).lossless
            case FreeNow():
                return bool(self.people(copies) & self.free)
            case HeldBy(whom):
                return bool(self.people(copies) & PEOPLE[whom])
        raise AssertionError(wanted)

    def tags(self, copies: Copies) -> Tags:
        """What most say; of as many, the greatest."""
        said = Counter(entry.tags for _, entry in copies)
        return tags_of(max(said, key=lambda tags: (said[tags], tags)))

    def number(self, which: Number, copies: Copies) -> int:
        tags = self.tags(copies)
        return {
            Number.SIZE: copies[0][1].size,
            Number.DATE: min((entry.changed for _, entry in copies if entry.changed), default=0),
            Number.LENGTH: tags.length_s,
            Number.BITRATE: tags.bitrate_kbps,
            Number.YEAR: tags.year,
            Number.SOURCES: len(self.people(copies)),
        }[which]

    def points(self, query: SearchQuery, copies: Copies) -> int:
        names = [search_words(entry.path.rpartition("/")[2]) for _, entry in copies]
        typed = query.typed.split()
        named = self.holds(query.wanted, copies, in_name=True)
        texts = [search_text(entry.path, entry.tags) for _, entry in copies]
        close = bool(typed) and any(side_by_side(query.typed, text) for text in texts)
        exact = bool(typed) and any(
            name[: len(typed)] == typed and len(name) <= len(typed) + 1 for name in names
        )
        doublings = len(self.people(copies)).bit_length() - 1
        return doublings + 3 * named + close + 3 * exact

    def order(self, sort: SortBy, query: SearchQuery, copies: Copies) -> tuple[int, ...]:
        """Ascending along the pages."""
        people = self.people(copies)
        changed, size = self.number(Number.DATE, copies), self.number(Number.SIZE, copies)
        match sort:
            case SortBy.RELEVANCE:
                return (-self.points(query, copies),)
            case SortBy.SOURCES:
                return (-len(people),)
            case SortBy.SPEED:
                return -max(self.speeds.get(one, SpeedClass.UNKNOWN) for one in people), -len(people)
            case SortBy.SIZE | SortBy.SMALLEST:
                return (size if sort is SortBy.SMALLEST else -size,)
            case SortBy.DATE:
                return (-changed,)
            case SortBy.OLDEST:
                return not changed, changed

    def facets(self, found: Iterable[Copies]) -> FacetCounts:
        kinds, extensions, sizes = Counter[FileKind](), Counter[str](), Counter[int]()
        for copies in found:
            kinds.update({kind_of(entry.path) for _, entry in copies})
            extensions.update({extension_of(entry.path) for _, entry in copies} & {"mp3", "flac", "txt"})
            sizes[0] += 1
        return FacetCounts(
            kinds=tuple(
                KindCount(kind=kind, files=files)
                for kind, files in sorted(kinds.items(), key=lambda each: (-each[1], each[0]))
            ),
            extensions=tuple(
                ExtensionCount(extension=extension, files=files)
                for extension, files in sorted(extensions.items(), key=lambda each: (-each[1], each[0]))
            ),
            sizes=tuple(SizeCount(size_min=0, size_max=999_999, files=sizes[0]) for _ in sizes),
        )


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

    @rule(most=st.integers(1, 9))
    def tidy(self, most: int) -> None:
        self.catalogue.tidy(most)

    @rule(account=st.sampled_from(ACCOUNTS), online=st.booleans())
    def set_online(self, account: int, online: bool) -> None:
        self.catalogue.set_online(account, online)
        (self.oracle.online.add if online else self.oracle.online.discard)(account)
        self.oracle.free.discard(account)  # who comes has not said yet

    @rule(account=st.sampled_from(ACCOUNTS), free=st.booleans())
    def tell_slots(self, account: int, free: bool) -> None:
        self.catalogue.set_free(account, free)
        (self.oracle.free.add if free and account in self.oracle.online else self.oracle.free.discard)(
            account
        )

    @rule(account=st.sampled_from(ACCOUNTS), speed=st.sampled_from(SpeedClass))
    def find_out_speed(self, account: int, speed: SpeedClass) -> None:
        self.catalogue.set_speed(account, speed)
        self.oracle.speeds[account] = speed

    @rule(search=searches, sort=st.sampled_from(SortBy), limit=st.integers(1, 5))
    def search(self, search: Search, sort: SortBy, limit: int) -> None:
        query = parse_search_untrusted(search)
        expected = {
            key: copies
            for key, copies in self.oracle.documents().items()
            if self.oracle.people(copies) and self.oracle.holds(query.wanted, copies)
        }
        order: list[tuple[int, ...]] = []
        found_keys: list[object] = []
        cursor: bytes | None = None
        while cursor != b"":
            page = self.catalogue.search(query, people=PEOPLE, sort=sort, cursor=cursor or b"", limit=limit)
            assert page.total == len(expected)
            assert len(page.found) <= limit
            if cursor is None:
                assert page.facets == self.oracle.facets(expected.values())
            for found in page.found:
                key = found.file or (found.some[0].account, found.some[0].offer)
                copies = expected[key]
                people = self.oracle.people(copies)
                online = [(who, entry) for who, entry in copies if who in people]
                assert found.sources == len(people) == len(found.some)
                assert found.free == len(people & self.oracle.free)
                assert found.contacts == len(people & PEOPLE[CONTACTS])
                assert found.changed == self.oracle.number(Number.DATE, copies)
                assert {(one.account, one.offer, one.partial) for one in found.some} <= {
                    (who, entry.offer, entry.partial) for who, entry in online
                }
                assert found.path in {entry.path for _, entry in online}
                leaves = {entry.path.rpartition("/")[2] for _, entry in online}
                assert leaves.issuperset(found.names) and found.path.rpartition("/")[2] not in found.names
                found_keys.append(key)
                order.append(self.oracle.order(sort, query, copies))
            cursor = page.found[-1].cursor if page.found else b""
        assert len(found_keys) == len(set(found_keys)) == len(expected)
        assert order == sorted(order)

    @rule(search=searches, more_than=st.integers(0, 3))
    def suggest(self, search: Search, more_than: int) -> None:
        suggestion = self.catalogue.suggest(search, people=PEOPLE, more_than=more_than)
        if suggestion:
            query = parse_search_untrusted(replace(search, query=suggestion))
            assert self.catalogue.search(query, people=PEOPLE, limit=1).total > more_than

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
    slices.change([*first], [0] * len(first), [*first.values()])
    slices.change([*values], [first.get(document, 0) for document in values], [*values.values()])
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
    slices.change(list(values), [0] * len(values), list(values.values()))
    matches = slices.positive.copy()
    along = ranking.bands(matches, BitMap(named) & matches, slices)
    whole = ranking.block(along, 100)
    assert sorted(place.document for place in whole) == sorted(matches)
    assert whole == sorted(whole)
    before = whole[start - 1] if 0 < start <= len(whole) else None
    rest = whole[start:] if before else whole
    assert ranking.block(along, count, after=before) == rest[:count]
    if rest:
        until = rest[min(count, len(rest)) - 1]
        assert ranking.block(along, 100, after=before, until=until) == rest[:count]


@given(numbers, st.booleans(), st.integers(1, 40), st.tuples(st.integers(0, 2**41), st.integers(0, 70_000)))
def test_bit_slices_put_documents_in_order_from_any_place_on(
    values: dict[int, int], least_first: bool, count: int, after: tuple[int, int]
) -> None:
    slices = BitSlices()
    slices.change(list(values), [0] * len(values), list(values.values()))

    def place(at: tuple[int, int]) -> tuple[int, int]:
        return (at[0] if least_first else -at[0]), at[1]

    everything = sorted(((number, document) for document, number in values.items()), key=place)
    among = BitMap(values)
    assert slices.ordered(among, count, least_first=least_first) == everything[:count]
    behind = [at for at in everything if place(at) > place(after)]
    assert slices.ordered(among, count, least_first=least_first, after=after) == behind[:count]


@given(numbers, st.integers(0, 2**41), st.integers(0, 2**41))
def test_bit_slices_know_what_lies_within_a_span(values: dict[int, int], low: int, high: int) -> None:
    slices = BitSlices()
    slices.change(list(values), [0] * len(values), list(values.values()))
    found = slices.within(low, high, BitMap(values))
    assert set(found) == {document for document, number in values.items() if low <= number <= high}
