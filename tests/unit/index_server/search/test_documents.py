"""Documents at their bounds; the ordinary is in tests/property/test_catalogue_state.py."""

from __future__ import annotations

import pytest

from index_server.search import documents
from index_server.search.copies import NAMED_BY
from index_server.search.documents import Changes, Documents, Gone
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


def remove(
    kept: Documents, account: int, offer: int, file: FileId | None = FILE
) -> tuple[list[int], Changes]:
    changes: Changes = {}
    return kept.remove_each(account, [Gone(offer, file)], changes), changes


def test_the_oldest_accounts_say_what_a_document_is_called_whenever_they_came() -> None:
    kept = Documents()
    for account in range(100, 100 + NAMED_BY):
        kept.add(account, offered(f"{account}.mp3"))
    assert kept.add(200, offered("late.mp3")) == (0, None), "it changes nothing about finding the document"
    kept.add(1, offered("first.mp3"))
    assert "first.mp3" in names(kept, 0)
    assert f"{99 + NAMED_BY}.mp3" not in names(kept, 0)
    remove(kept, 1, 1)
    assert f"{99 + NAMED_BY}.mp3" in names(kept, 0)


def test_more_names_than_are_kept_count_under_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "NAMES_MAX", 3)
    kept = Documents()
    for account in range(5):
        kept.add(account, offered(f"{account}.mp3"))
    paths = [kept.name_of(0, copy)[0] for copy in kept.from_copy(0, 0)]
    assert paths == ["0.mp3", "1.mp3", "2.mp3", "0.mp3", "0.mp3"]
    remove(kept, 1, 1)
    kept.add(9, offered("9.mp3"))
    assert kept.name_of(0, next(kept.from_copy(0, 4)))[0] == "9.mp3", "in the place of the name that left"


def test_the_copies_of_one_account_stand_side_by_side() -> None:
    kept = Documents()
    for account, offer in ((5, 9), (3, 2), (5, 1), (2**32 - 1, 2**32 - 1)):
        kept.add(account, offered("a.mp3", offer))
    assert [*kept.accounts(0)] == [3, 5, 5, 2**32 - 1]
    assert kept.copy_of(0, 5).offer == 1
    assert remove(kept, 5, 9) == ([], {}), "they hold it still, and it says the same"
    kept.remove_all(0, 5)
    assert kept.count(0) == 2


def test_a_copy_that_is_not_there_cannot_be_removed() -> None:
    kept = Documents()
    kept.add(1, offered("a.mp3"))
    with pytest.raises(Misuse):
        remove(kept, 2, 1)


def test_a_number_is_used_again_and_nothing_of_the_past_is_left() -> None:
    kept = Documents()
    kept.add(1, offered("a.mp3", file=None))
    assert len(kept) == 1 and kept.file(0) is None
    remove(kept, 1, 1, file=None)
    assert (len(kept), kept.said(0)) == (0, None)
    changes: Changes = {}
    kept.tidy(1, changes)
    assert [after for _, after in changes.values()] == [None]
    assert kept.add(2, offered("b.mp3"))[0] == 0
    assert names(kept, 0) == ["b.mp3"]


def test_what_comes_back_as_it_was_changes_nothing() -> None:
    kept = Documents()
    kept.add(1, offered("a.mp3", changed=5))
    assert remove(kept, 1, 1) == ([0], {})
    assert kept.add(2, offered("a.mp3", changed=5)) == (0, None)
    assert remove(kept, 2, 1) == ([0], {})
    document, change = kept.add(2, offered("b.mp3", changed=5))
    assert change is not None and change[0] is not None and change[1] is not None
    assert (document, change[0].names[0][0], change[1].names[0][0]) == (0, "a.mp3", "b.mp3")
    kept.tidy(1, changes := {})
    assert (len(kept), changes) == (1, {}), "it is offered"


def test_a_copy_is_found_among_very_many() -> None:
    kept = Documents()
    accounts = [*range(1, 600), 2**31]
    for account in accounts:
        kept.add(account, offered("a.mp3", offer=account))
    for account in accounts[::-1]:
        assert remove(kept, account, account)[0] == [0]
    assert len(kept) == 0


def test_a_copy_is_not_mistaken_for_bytes_within_another() -> None:
    kept = Documents()
    kept.add(1, offered("a.mp3", offer=256))  # its number and date look like offer 0 of account 256
    kept.add(256, offered("a.mp3", offer=0))
    with pytest.raises(Misuse):
        remove(kept, 256, 1)
    assert remove(kept, 256, 0)[0] == [0]
    assert [*kept.accounts(0)] == [1]
