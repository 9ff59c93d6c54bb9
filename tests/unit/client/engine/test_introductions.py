"""Who is named to whom, and who becomes a source by taking."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from types import SimpleNamespace

from client.engine.downloads.records import KnownSource
from client.engine.introductions import Introductions
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.limits import OTHERS_MAX

FILM = FileId(bytes(32))
ALICE, BOB, CAROL, DAVE, SERVER = (NodeId(bytes([n]) * 32) for n in range(5))


@dataclass
class Fetching:
    """A running download, and those who give to it."""

    suppliers: dict[NodeId, SimpleNamespace] = field(default_factory=dict)
    added: list[KnownSource] = field(default_factory=list)

    def add_source(self, known: KnownSource) -> bool:
        self.added.append(known)
        return True

    def from_(self, node: NodeId, works: bool = True) -> None:
        known = KnownSource(SERVER, node, "somebody", 0)
        self.suppliers[node] = SimpleNamespace(node=node, known=known, works=works)


def introductions(
    *takers: NodeId, fetching: Fetching | None = None, known: tuple[NodeId, ...] = (ALICE, BOB, CAROL, DAVE)
) -> Introductions:
    peers = SimpleNamespace(
        known_by=dict.fromkeys(known, SERVER), nicks={node: f"nick {node[0]}" for node in (*takers, *known)}
    )
    onward = SimpleNamespace(running=lambda file: [fetching] if fetching is not None else [])
    return Introductions(peers, onward, lambda file: list(takers), random.Random(1))  # type: ignore[arg-type]


def named(made: Introductions, asker: NodeId) -> set[NodeId]:
    return {holder.node for holder in made.others(asker, FILM)}


def test_those_who_take_and_those_who_give_are_named_but_not_the_asker() -> None:
    fetching = Fetching()
    fetching.from_(CAROL)
    fetching.from_(DAVE, works=False)
    made = introductions(ALICE, BOB, fetching=fetching)
    assert named(made, ALICE) == {BOB, CAROL}, "Dave has not opened the file to us"


def test_whom_no_server_knows_is_not_named() -> None:
    assert named(introductions(ALICE, BOB, known=(ALICE,)), CAROL) == {ALICE}


def test_of_a_crowd_some_are_named() -> None:
    crowd = [NodeId(number.to_bytes(32, "big")) for number in range(1, 200)]
    made = introductions(*crowd, known=tuple(crowd))
    assert len(named(made, ALICE)) == OTHERS_MAX
    assert named(made, ALICE) != named(made, ALICE)


def test_who_fetches_from_us_what_we_fetch_is_a_source() -> None:
    fetching = Fetching()
    made = introductions(BOB, fetching=fetching)
    made.meet(BOB, FILM)
    assert fetching.added == [KnownSource(SERVER, BOB, "nick 1", 0)]
