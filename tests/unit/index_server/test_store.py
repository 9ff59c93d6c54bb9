"""Units of work, on a plain connection in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from index_server import store
from index_server.search.catalogue import Gone
from index_server.search.entry import Entry, entry_untrusted
from index_server.store import MIGRATIONS, ManifestChange
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.wire.fields import Offer, Tags
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest

ALICE, BOB = NodeId(b"a" * 32), NodeId(b"b" * 32)
FILE = FileId(b"f" * 32)
MANY = 1_000


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect(":memory:", isolation_level=None)
    for script in MIGRATIONS:
        made.executescript(script)
    yield made
    made.close()


@pytest.fixture
def alice(connection: sqlite3.Connection) -> int:
    return store.add_account(connection, ALICE, "alice", "allce", 100).number


def entry(number: int, path: str = "a.mp3", file: FileId | None = None) -> Entry:
    return entry_untrusted(
        Offer(offer=number, path=path, size=1, file=file, tags=Tags(title="x"), partial=True)
    )


def adding(base: bytes, *entries: Entry, reset: bool = False) -> ManifestChange:
    result = change_digest(base, added=[one.hash for one in entries])
    return ManifestChange(base, result, (), entries, reset)


def change(
    connection: sqlite3.Connection, account: int, wanted: ManifestChange, most: int = MANY
) -> store.Changed:
    """As the database runs it: undone if it raises."""
    connection.execute("BEGIN")
    try:
        changed = store.change_manifest(connection, account, wanted, most)
    except Refused:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return changed


def refused(connection: sqlite3.Connection, account: int, wanted: ManifestChange, most: int = MANY) -> Reason:
    before = list(connection.iterdump())
    with pytest.raises(Refused) as caught:
        change(connection, account, wanted, most)
    assert list(connection.iterdump()) == before
    return caught.value.reason


def test_an_account_begins_with_an_empty_manifest(connection: sqlite3.Connection, alice: int) -> None:
    found = store.account_by_node(connection, ALICE)
    assert found == store.Account(alice, ALICE, "alice", EMPTY_MANIFEST, 0, seen_at=100, created_at=100)
    assert store.account_by_skeleton(connection, "allce") == found
    assert store.account_by_node(connection, BOB) is None


def test_registering_again_keeps_the_account_and_its_nick(connection: sqlite3.Connection, alice: int) -> None:
    again = store.add_account(connection, ALICE, "other", "other", 200)
    assert (again.number, again.nick) == (alice, "alice")


def test_a_nick_that_looks_like_a_taken_one_is_refused(connection: sqlite3.Connection, alice: int) -> None:
    with pytest.raises(Refused) as caught:
        store.add_account(connection, BOB, "a1ice", "allce", 100)
    assert caught.value.reason is Reason.NICK_TAKEN
    store.add_account(connection, BOB, "bob", "bob", 100)
    with pytest.raises(Refused):
        store.rename_account(connection, BOB, "a1ice", "allce")


def test_one_may_take_a_nick_that_looks_like_ones_own(connection: sqlite3.Connection, alice: int) -> None:
    store.rename_account(connection, ALICE, "Alice", "allce")
    found = store.account_by_node(connection, ALICE)
    assert found is not None and found.nick == "Alice"


def test_offers_come_back_as_they_were_put_in(connection: sqlite3.Connection, alice: int) -> None:
    entries = [entry(1, "a.mp3"), entry(2, "b/ü.flac", FILE)]
    changed = change(connection, alice, adding(EMPTY_MANIFEST, *entries))
    assert (changed.gone, changed.offers) == ((), 2)
    assert store.offers_of(connection, alice, -1, 10) == entries
    assert store.offers_of(connection, alice, 1, 10) == entries[1:]
    assert store.offers_of(connection, alice, -1, 1) == entries[:1]
    assert store.accounts_with_offers(connection).keys() == {alice}


def test_a_change_tells_what_it_removed_and_replaced(connection: sqlite3.Connection, alice: int) -> None:
    old, replaced, kept = entry(1), entry(2, file=FILE), entry(3)
    first = adding(EMPTY_MANIFEST, old, replaced, kept)
    change(connection, alice, first)
    new = entry(2, "new.mp3")
    result = change_digest(first.result, removed=[old.hash, replaced.hash], added=[new.hash])
    changed = change(connection, alice, ManifestChange(first.result, result, (1, 99), (new,), False))
    assert set(changed.gone) == {Gone(1, None), Gone(2, FILE)}
    assert changed.offers == 2
    assert store.offers_of(connection, alice, -1, 10) == [new, kept]


def test_a_change_from_another_list_is_refused(connection: sqlite3.Connection, alice: int) -> None:
    change(connection, alice, adding(EMPTY_MANIFEST, entry(1)))
    assert refused(connection, alice, adding(EMPTY_MANIFEST, entry(2))) is Reason.MANIFEST_MISMATCH


def test_a_change_that_leads_elsewhere_is_refused(connection: sqlite3.Connection, alice: int) -> None:
    change(connection, alice, adding(EMPTY_MANIFEST, entry(1)))
    [account] = [store.account_by_node(connection, ALICE)]
    assert account is not None
    wrong = ManifestChange(account.manifest, bytes(16), (), (entry(2),), False)
    assert refused(connection, alice, wrong) is Reason.MANIFEST_MISMATCH


def test_a_reset_begins_with_the_empty_list(connection: sqlite3.Connection, alice: int) -> None:
    change(connection, alice, adding(EMPTY_MANIFEST, entry(1), entry(2)))
    changed = change(connection, alice, adding(EMPTY_MANIFEST, entry(3), reset=True))
    assert (changed.gone, changed.offers) == ((), 1)
    assert store.offers_of(connection, alice, -1, 10) == [entry(3)]
    assert refused(connection, alice, adding(b"x" * 16, entry(4), reset=True)) is Reason.MANIFEST_MISMATCH


def test_an_account_may_offer_only_so_many(connection: sqlite3.Connection, alice: int) -> None:
    first = adding(EMPTY_MANIFEST, entry(1), entry(2))
    change(connection, alice, first, most=2)
    assert refused(connection, alice, adding(first.result, entry(3)), most=2) is Reason.TOO_MUCH
    replacing = ManifestChange(first.result, first.result, (), (entry(2),), False)
    assert change(connection, alice, replacing, most=2).offers == 2


def test_when_somebody_was_seen_is_noted(connection: sqlite3.Connection, alice: int) -> None:
    store.note_seen(connection, alice, 500)
    assert connection.execute("SELECT seen_at FROM account").fetchall() == [(500,)]
