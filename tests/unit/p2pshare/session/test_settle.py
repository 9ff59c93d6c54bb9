from __future__ import annotations

import pytest

from p2pshare.errors import CloseCode, PeerFault
from p2pshare.session.settle import Settled, settle
from p2pshare.wire.fields import Role
from p2pshare.wire.session import Hello


def said(versions: tuple[int, ...], capabilities: tuple[str, ...] = ()) -> Hello:
    return Hello(role=Role.CLIENT, versions=versions, capabilities=capabilities)


def test_the_highest_version_that_both_speak_is_taken_in_whatever_order_they_name_them() -> None:
    assert settle(said((1, 3, 2)), said((2, 5, 1))).version == 2
    assert settle(said((2, 5, 1)), said((1, 3, 2))).version == 2


def test_only_capabilities_of_both_are_used() -> None:
    mine, theirs = said((1,), ("talk", "relay")), said((1,), ("relay", "swarm"))
    assert settle(mine, theirs) == settle(theirs, mine) == Settled(1, frozenset({"relay"}))


def test_without_a_common_version_both_lists_are_named() -> None:
    with pytest.raises(PeerFault, match="we speak 1, 2, they speak 3, 4") as caught:
        settle(said((2, 1)), said((4, 3)))
    assert caught.value.code is CloseCode.NO_COMMON_VERSION
