"""Documents at their bounds; the ordinary is in tests/property/test_catalogue_state.py."""

from __future__ import annotations

import pytest

from index_server.search import documents
from index_server.search.documents import NAMED_BY, Documents
from index_server.search.entry import Entry, entry_untrusted
from p2pshare.errors import Misuse
from p2pshare.hashing import FileId
from p2pshare.wire.fields import Offer

FILE = FileId(b"f" * 32)


def offered(path: str, offer: int = 1, changed: int = 0, file: FileId | None = FILE) -> Entry:
    return entry_untrusted(Offer(offer=offer, path=path, size=1, changed=changed, file=file))


def names(kept: Documents, number: int) -> list[str]:
    said = kept.said(number)
    return [] if said is None else [name[0] for name in said.names]


def test_the_oldest_accounts_say_what_a_document_is_called_whenever_they_came() -> None:
    kept = Documents()
    for account in range(100, 100 + NAMED_BY):
        kept.add(account, offered(f"{account}.mp3"))
    assert kept.add(200, offered("late.mp3")) == (0, None), "it changes nothing about finding the document"
    kept.add(1, offered("first.mp3"))
    assert "first.mp3" in names(kept, 0)
    assert f"{99 + NAMED_BY}.mp3" not in names(kept, 0)
    kept.remove(1, 1, FILE)
    assert f"{99 + NAMED_BY}.mp3" in names(kept, 0)


def test_more_names_than_are_kept_count_under_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "NAMES_MAX", 3)
    kept = Documents()
    for account in range(5):
        kept.add(account, offered(f"{account}.mp3"))
    paths = [kept.name_of(0, copy)[0] for copy in kept.from_copy(0, 0)]
    assert paths == ["0.mp3", "1.mp3", "2.mp3", "0.mp3", "0.mp3"]
    kept.remove(1, 1, FILE)
    kept.add(9, offered("9.mp3"))
    assert kept.name_of(0, next(kept.from_copy(0, 4)))[0] == "9.mp3", "in the place of the name that left"


def test_the_copies_of_one_account_stand_side_by_side() -> None:
    kept = Documents()
    for account, offer in ((5, 9), (3, 2), (5, 1), (2**32 - 1, 2**32 - 1)):
        kept.add(account, offered("a.mp3", offer))
    assert [*kept.accounts(0)] == [3, 5, 5, 2**32 - 1]
    assert kept.copy_of(0, 5).offer == 1
    document, held, change = kept.remove(5, 9, FILE)
    assert (document, held, change) == (0, True, None)
    kept.remove_all(0, 5)
    assert kept.count(0) == 2


def test_a_copy_that_is_not_there_cannot_be_removed() -> None:
    kept = Documents()
    kept.add(1, offered("a.mp3"))
    with pytest.raises(Misuse):
        kept.remove(2, 1, FILE)


def test_a_number_is_used_again_and_nothing_of_the_past_is_left() -> None:
    kept = Documents()
    kept.add(1, offered("a.mp3", file=None))
    assert len(kept) == 1 and kept.file(0) is None
    kept.remove(1, 1, None)
    assert (len(kept), kept.said(0)) == (0, None)
    assert kept.add(2, offered("b.mp3"))[0] == 0
    assert names(kept, 0) == ["b.mp3"]
