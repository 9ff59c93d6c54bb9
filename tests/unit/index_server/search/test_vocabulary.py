"""Words found by their beginning, and by words that are nearly the same."""

from __future__ import annotations

import pytest

from index_server.search import vocabulary as module
from index_server.search.vocabulary import Vocabulary


def made(*words: str) -> Vocabulary:
    vocabulary = Vocabulary()
    for word in words:
        vocabulary.add(word)
    return vocabulary


def test_words_are_found_by_their_beginning() -> None:
    vocabulary = made("blue", "blues", "bluegrass", "black", "b")
    assert vocabulary.beginning("blu") == ["blue", "blues", "bluegrass"]
    assert vocabulary.beginning("xy") == []


def test_of_too_many_words_those_that_were_heard_first_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEGUN_MAX", 2)
    assert made("blues", "blue", "blur").beginning("bl") == ["blues", "blue"]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("colour", ["color"]),  # one too many
        ("colr", ["color"]),  # one too few
        ("colot", ["color"]),  # another one
        ("coolr", ["color"]),  # two changed places
        ("ocolr", []),  # two slips in a short word
        ("caligrahpy", ["calligraphy"]),  # two in a long one
        ("aclligraphy", ["calligraphy"]),  # the first two changed places
        ("col", []),  # too short to guess
        ("color", []),  # itself
    ],
)
def test_words_that_are_nearly_the_same(typed: str, found: list[str]) -> None:
    vocabulary = made("color", "calligraphy", "train")
    assert [word for _, word in vocabulary.alike(typed)] == found


def test_the_nearest_word_comes_first() -> None:
    assert made("stations", "station", "stating").alike("statoin")[0] == (1, "station")


def test_a_word_that_is_gone_is_not_found() -> None:
    vocabulary = made("color", "colors")
    vocabulary.remove("color")
    assert vocabulary.beginning("col") == ["colors"]
    assert vocabulary.alike("coler") == []
    vocabulary.remove("colors")
    assert vocabulary.beginning("col") == []


def test_only_so_many_words_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMPARED_MAX", 1)
    assert [word for _, word in made("colon", "color").alike("colox")] == ["colon"]
