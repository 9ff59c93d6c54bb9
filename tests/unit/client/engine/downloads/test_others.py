"""Who is named as a further source, and what comes of it."""

from __future__ import annotations

import random

import trio

from client.engine.downloads.others import (
    BEGIN_S,
    DEAD_MAX,
    DUDS_MAX,
    ENOUGH,
    FIRST_PAUSE_S,
    Others,
    Recommended,
    haves,
)
from client.engine.downloads.records import KnownSource
from p2pshare.errors import Disconnected, Reason, Refused
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.limits import HAVES_PER_MESSAGE
from p2pshare.wire.fields import Holder
from p2pshare.wire.peer import AskOthers
from p2pshare.wire.peer import Others as OthersMessage
from tests.sim.scheduler import simulate

ME, ALICE, BOB, CAROL, SERVER = (NodeId(bytes([n]) * 32) for n in range(5))
FILM = FileId(bytes([9]) * 32)


def holder(node: NodeId) -> Holder:
    return Holder(node=node, nick="somebody", server=SERVER)


def strangers(count: int, of: int = 0) -> list[NodeId]:
    return [NodeId(bytes([100 + of, *number.to_bytes(2, "big")]) + bytes(29)) for number in range(count)]


def named(told: Recommended, by: NodeId, *nodes: NodeId, known: tuple[NodeId, ...] = ()) -> list[NodeId]:
    return [known.node for known in told.named_untrusted(by, map(holder, nodes), known)]


def test_neither_we_nor_who_says_it_nor_who_is_known_is_tried() -> None:
    told = Recommended(ME)
    assert named(told, ALICE, ME, ALICE, BOB, CAROL, CAROL, known=(BOB,)) == [CAROL]
    [known] = told.named_untrusted(ALICE, [holder(CAROL)], ())
    assert known == KnownSource(SERVER, CAROL, "somebody", 0)


def test_who_was_of_no_use_is_not_tried_again() -> None:
    told = Recommended(ME)
    told.tries(CAROL, ALICE)
    assert told.failed(CAROL)
    assert named(told, BOB, CAROL) == []


def test_a_source_that_the_server_named_is_not_given_up() -> None:
    told = Recommended(ME)
    assert not told.failed(CAROL)
    told.tries(BOB, ALICE)
    told.joined(BOB)
    assert not told.failed(BOB), "once they gave us the file, it is as if we had known them ourselves"


def test_who_names_several_people_in_vain_is_not_listened_to_any_more() -> None:
    told = Recommended(ME)
    for node in strangers(DUDS_MAX + 1):
        assert named(told, ALICE, node) == [node]
        told.tries(node, ALICE)
        told.failed(node)
    assert named(told, ALICE, CAROL) == []
    assert named(told, BOB, CAROL) == [CAROL], "others are"


def test_who_named_many_of_use_may_be_wrong_as_often() -> None:
    told = Recommended(ME)
    for node in strangers(20):
        told.tries(node, ALICE)
        told.joined(node)
    for node in strangers(20, of=1):
        told.tries(node, ALICE)
        told.failed(node)
    assert not told.ignores(ALICE)


def test_what_is_remembered_is_bounded() -> None:
    told = Recommended(ME)
    for number in range(DEAD_MAX + 10):
        node = NodeId(number.to_bytes(32, "big"))
        told.tries(node, ALICE)
        told.failed(node)
    assert len(told._dead) == DEAD_MAX and not told._by


def test_many_pieces_are_told_in_several_messages() -> None:
    pieces = list(range(HAVES_PER_MESSAGE + 3))
    messages = list(haves(FILM, pieces))
    assert [len(message.pieces) for message in messages] == [HAVES_PER_MESSAGE, 3]
    assert not list(haves(FILM, []))


class Talker:
    """A channel to somebody who names others."""

    def __init__(self, *answers: list[NodeId] | Exception) -> None:
        self.answers = list(answers)
        self.asked_at: list[float] = []

    def next_request(self) -> int:
        return 1

    async def ask(self, message: AskOthers) -> OthersMessage:
        self.asked_at.append(trio.current_time())
        answer = self.answers.pop(0) if self.answers else Disconnected("gone")
        if isinstance(answer, Exception):
            raise answer
        return OthersMessage(request=1, some=tuple(map(holder, answer)))


async def talk(talker: Talker, known: list[NodeId]) -> None:
    def add(source: KnownSource) -> bool:
        known.append(source.node)
        return True

    others = Others(ME, lambda: known, add)
    await others.keep_asking(ALICE, talker, FILM)  # type: ignore[arg-type]


def test_a_swarm_is_asked_for_often_at_first_and_seldom_later() -> None:
    known = [ALICE]
    talker = Talker([BOB], Refused(Reason.TOO_MUCH), [BOB, CAROL], [])
    simulate(lambda chance: talk(talker, known), 1)
    assert known == [ALICE, BOB, CAROL]
    begun = talker.asked_at[0]
    assert [at - begun for at in talker.asked_at] == [
        0,
        FIRST_PAUSE_S,
        3 * FIRST_PAUSE_S,
        7 * FIRST_PAUSE_S,
        15 * FIRST_PAUSE_S,
    ]
    assert begun == BEGIN_S


def test_who_has_sources_enough_asks_nobody() -> None:
    talker = Talker([BOB])

    async def hour(chance: random.Random) -> None:
        with trio.move_on_after(3_000):
            await talk(talker, strangers(ENOUGH))

    simulate(hour, 1)
    assert talker.asked_at == []
