from __future__ import annotations

import pytest

from p2pshare.errors import CloseCode, PeerFault
from p2pshare.session.states import (
    ALLOWED,
    ALWAYS,
    NEXT,
    Party,
    Phase,
    Talk,
    is_allowed,
    phase_after,
    settle_talk,
)
from p2pshare.wire import index, peer
from p2pshare.wire.fields import Role
from p2pshare.wire.schema import REGISTRY
from p2pshare.wire.session import Hello


def test_every_message_but_the_hello_has_its_place() -> None:
    somewhere = ALWAYS.union(*ALLOWED.values())
    assert somewhere == set(REGISTRY.values()) - {Hello}


def test_nothing_that_is_always_allowed_stands_in_the_table_too() -> None:
    assert not ALWAYS & frozenset().union(*ALLOWED.values())


def test_whoever_may_ask_gets_an_answer_from_one_who_may_give_it() -> None:
    for (talk, phase, sender), messages in ALLOWED.items():
        theirs = ALLOWED[talk, phase, sender.other]
        for message in messages:
            for asked in message.ANSWERS:
                assert asked in theirs, f"{message.NAME} answers what {sender.other} may not ask in {phase}"


def test_a_phase_ends_only_by_a_message_that_it_allows() -> None:
    for (talk, phase), (ending, following) in NEXT.items():
        assert any(is_allowed(talk, phase, party, ending) for party in Party)
        assert phase_after(talk, phase, ending) is following
        assert phase_after(talk, following, ending) is following


def test_admitted_and_logged_in_open_the_second_phase() -> None:
    assert phase_after(Talk.PEERS, Phase.GREETED, peer.Admitted) is Phase.READY
    assert phase_after(Talk.WITH_INDEX, Phase.GREETED, index.LoggedIn) is Phase.READY
    assert phase_after(Talk.PEERS, Phase.GREETED, peer.Knock) is Phase.GREETED


def test_a_probe_says_nothing_of_its_own() -> None:
    for party in Party:
        assert not any(is_allowed(Talk.PROBE, Phase.GREETED, party, m) for m in {*REGISTRY.values()} - ALWAYS)


def test_two_index_servers_have_nothing_to_talk_about() -> None:
    assert settle_talk(Role.CLIENT, Role.INDEX) is Talk.WITH_INDEX
    with pytest.raises(PeerFault) as caught:
        settle_talk(Role.INDEX, Role.INDEX)
    assert caught.value.code is CloseCode.WRONG_ORDER
