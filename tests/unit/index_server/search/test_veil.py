"""What is hidden stays hidden however documents change, and nothing else is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from index_server.search.veil import Veil
from p2pshare.hashing import FileId

FILES = [FileId(bytes([n]) * 32) for n in range(3)]
WORDS = ["blue", "casino", "train"]

documents = st.tuples(st.sampled_from([None, *FILES]), st.frozensets(st.sampled_from(WORDS)))
changes = st.lists(st.tuples(st.integers(0, 5), st.none() | documents), max_size=20)
rules = st.tuples(st.frozensets(st.sampled_from(WORDS)), st.frozensets(st.sampled_from(FILES)))


@given(before=changes, hidden=rules, after=changes, then=rules)
def test_rules_and_documents_may_change_in_any_order(
    before: list[tuple[int, tuple[FileId | None, frozenset[str]] | None]],
    hidden: tuple[frozenset[str], frozenset[FileId]],
    after: list[tuple[int, tuple[FileId | None, frozenset[str]] | None]],
    then: tuple[frozenset[str], frozenset[FileId]],
) -> None:
    veil, there = Veil(), dict[int, tuple[FileId | None, frozenset[str]]]()

    def change(document: int, said: tuple[FileId | None, frozenset[str]] | None) -> None:
        there.pop(document, None)
        if said is not None and (said[0] is None or said[0] not in {file for file, _ in there.values()}):
            there[document] = said
        file, words = there.get(document, (None, frozenset()))
        veil.look(document, file, words)

    def replace(words: frozenset[str], files: frozenset[FileId]) -> None:
        veil.replace(
            words,
            files,
            lambda word: BitMap([number for number, (_, said) in there.items() if word in said]),
            lambda file: next((number for number, (its, _) in there.items() if its == file), None),
        )
        check(words, files)

    def check(words: frozenset[str], files: frozenset[FileId]) -> None:
        wanted = {number for number, (file, said) in there.items() if file in files or said & words}
        assert set(veil.documents) == wanted

    for each in before:
        change(*each)
    replace(*hidden)
    for each in after:
        change(*each)
        check(*hidden)
    replace(*then)
