from __future__ import annotations

import random
import statistics
from collections import Counter

import pytest

from scripts.bench.corpus import QUERY_CLASSES, WORDS, Corpus, Query, zipf_rank

NAMES = 2_000


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus(NAMES, 2.0)


def test_everything_about_a_file_follows_from_its_number(corpus: Corpus) -> None:
    again = Corpus(NAMES, 2.0)
    assert [corpus.file(number) for number in range(50)] == [again.file(number) for number in range(50)]
    assert [corpus.size(number) for number in range(50)] == [again.size(number) for number in range(50)]


def test_there_are_as_many_words_as_said_and_none_twice(corpus: Corpus) -> None:
    assert len(corpus.words) == len(set(corpus.words)) == WORDS


def test_the_commonest_words_are_in_many_names_and_the_rare_in_hardly_any(corpus: Corpus) -> None:
    counted = Counter(word for number in range(NAMES) for word in set(corpus.file(number).text.split()))
    common = statistics.mean(counted[word] for word in corpus.words[:20])
    medium = statistics.mean(counted[word] for word in corpus.words[1_000:1_200])
    rare = statistics.mean(counted[word] for word in corpus.words[20_000:30_000])
    assert common > 10 * medium > 50 * rare
    assert 0.6 * NAMES < counted["mp3"] < 0.8 * NAMES


def test_a_name_is_as_long_as_names_are(corpus: Corpus) -> None:
    assert 40 < statistics.mean(len(corpus.path(number)) for number in range(NAMES)) < 50


def test_most_files_have_one_source_and_the_mean_is_as_wanted() -> None:
    held = Corpus(1, 3.0)
    sources = [held.sources(number) for number in range(5_000)]
    assert min(sources) == 1
    assert statistics.median(sources) == 1
    assert 2.0 < statistics.mean(sources) < 3.5
    assert max(sources) > 30


def test_popularity_follows_a_power_law() -> None:
    rng = random.Random(1)
    drawn = Counter(zipf_rank(rng.random(), 1_000, 0.8) for _ in range(100_000))
    assert (min(drawn), max(drawn)) == (0, 999)
    expected = sum(rank**-0.8 for rank in range(1, 1_001))
    assert drawn[9] / 100_000 == pytest.approx(10**-0.8 / expected, rel=0.15)
    assert drawn[0] > 5 * drawn[50] > 0


def test_a_rank_is_never_outside_whatever_the_chance() -> None:
    assert zipf_rank(0.0, 10, 0.8) == 0
    assert zipf_rank(1.0 - 2**-53, 10, 0.8) == 9


def test_what_people_type_is_mostly_in_the_name_of_a_popular_file(corpus: Corpus) -> None:
    rng = random.Random(1)
    texts = [f" {corpus.file(number).text} " for number in range(NAMES)]
    found = 0
    for _ in range(300):
        query = corpus.query(rng)
        assert 1 <= len(query.words) <= 4
        found += any(all(f" {word} " in text for word in query.words) for text in texts)
    assert 240 < found < 290


@pytest.mark.parametrize("kind", QUERY_CLASSES)
def test_a_query_of_a_class_has_different_words_and_the_same_in_every_run(corpus: Corpus, kind: str) -> None:
    one, other = random.Random(kind), random.Random(kind)
    queries = [corpus.query_of(kind, one) for _ in range(50)]
    assert queries == [corpus.query_of(kind, other) for _ in range(50)]
    assert all(len(set(query.words)) == len(query.words) == kind.count("+") + 1 for query in queries)
    assert all(query.phrase == kind.startswith("phrase") for query in queries)


def test_a_phrase_is_typed_in_quotes() -> None:
    assert Query(("wu", "tang")).typed == "wu tang"
    assert Query(("wu", "tang"), phrase=True).typed == '"wu tang"'
