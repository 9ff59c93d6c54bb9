"""What is noted of many matches at once is what is noted of them one by one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from typing import Any
from unittest.mock import patch

import hypothesis.strategies as st
from hypothesis import given, settings

from index_server import store
from index_server.wishes import mailbox
from index_server.wishes.mailbox import Match
from p2pshare import limits
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId

FILES = (None, FileId(b"f" * 32), FileId(b"g" * 32))

matches = st.builds(
    Match,
    wish=st.integers(1, 4),  # there is no fourth
    account=st.integers(3, 4),
    offer=st.integers(0, 2),
    file=st.sampled_from(FILES),
)
Round = tuple[list[Match], list[Match]]
rounds = st.lists(
    st.tuples(st.lists(matches, min_size=1, max_size=8), st.lists(matches, max_size=2)), max_size=4
)


def outcome(rounds: Iterable[Round], *, at_once: bool) -> list[Any]:
    """What came of the matches of each round, and the rows in the end. After a round some of it is told."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(store.MIGRATIONS[0])
        for account in (1, 2):
            store.add_account(connection, NodeId(bytes([account]) * 32), f"n{account}", f"n{account}", 0)
        for wish, account in ((1, 1), (2, 1), (3, 2)):
            mailbox.change_wishes(connection, account, (), (wish, "film"), 9)
        told: list[Any] = []
        for some, taken in rounds:
            parts = [some] if at_once else [[match] for match in some]
            noted = [mailbox.note_matches(connection, part) for part in parts]
            told.append({wisher for each in noted for wisher in each.wishers})
            told.append({wish for each in noted for wish in each.full})
            connection.executemany(
                "UPDATE wish_hit SET told = 1 WHERE wish = ? AND key = ?",
                [(match.wish, mailbox.key_of(match)) for match in taken],
            )
        hits = "SELECT wish, key, account, offer, told FROM wish_hit ORDER BY wish, key"
        return [told, *connection.execute(hits), *connection.execute("SELECT id, found FROM wish")]


@settings(max_examples=50, deadline=None)
@given(rounds)
def test_many_at_once_are_noted_as_one_by_one(rounds: list[Round]) -> None:
    with patch.object(mailbox, "UNTOLD_MAX", 3), patch.object(limits, "WISH_FOUND_MAX", 4):
        assert outcome(rounds, at_once=True) == outcome(rounds, at_once=False)
