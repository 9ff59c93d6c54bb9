"""How we give a file that several people exchange: one we fetch ourselves in turns, a whole one by slots.

The decisions are in `exchange.py` and `showing.py`; here they are held together and told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from client.engine.held import Held
from client.engine.uploads.exchange import Exchange
from client.engine.uploads.showing import Showing
from p2pshare.hashing import FileId, piece_count
from p2pshare.identity import NodeId
from p2pshare.limits import HAVES_PER_MESSAGE
from p2pshare.wire.peer import Have, Turn
from p2pshare.wire.schema import Message


@dataclass(frozen=True)
class View:
    """What somebody is told who opens a file; see `FileOpened`."""

    pieces: bytes | None
    turns: bool
    whole: bool


class Swarm:
    """Everybody who has a file open here."""

    def __init__(
        self,
        tell: Callable[[NodeId, FileId, Message], None],
        *,
        holds_slot: Callable[[NodeId], bool],
        may_take: Callable[[NodeId], bool],
    ) -> None:
        """`tell` says something about a file to who has it open; `may_take` is false of whose quota is used
        up."""
        self._tell = tell
        self._holds_slot = holds_slot
        self._exchange = Exchange(may_take)
        self._showings: dict[FileId, Showing] = {}
        self._able: dict[FileId, frozenset[NodeId]] = {}  # takers with a slot, when something was last shown
        self._stirred: set[FileId] = set()  # files of which others might be shown now

    # --- who is here ---------------------------------------------------------------------------------

    def opens(self, person: NodeId, held: Held, now: float) -> View:
        """They open a file, perhaps once more."""
        member = (person, held.file)
        count = piece_count(held.size, held.piece_size)
        if held.pieces is not None:
            self._close_showing(*member)
            self._exchange.join(member, count, held.piece_size, held.pieces, now)
        if self._exchange.knows(member):
            return View(held.pieces, turns=True, whole=held.pieces is None)
        showing = self._showings.get(held.file)
        if showing is None:
            seed = int.from_bytes(person[:8]) ^ int.from_bytes(held.file[:8])
            showing = self._showings[held.file] = Showing(count, held.piece_size, seed)
        shown = showing.join(person)
        self._stirred.add(held.file)
        return View(shown, turns=False, whole=shown is not None)

    def closes(self, person: NodeId, file: FileId, now: float) -> None:
        """They have it open on no connection any more."""
        self._exchange.leave((person, file), now)
        self._close_showing(person, file)

    def _close_showing(self, person: NodeId, file: FileId) -> None:
        if (showing := self._showings.get(file)) is None:
            return
        showing.leave(person)
        self._stirred.add(file)
        if not showing:
            del self._showings[file]
            self._able.pop(file, None)
            self._stirred.discard(file)

    def forget(self, person: NodeId) -> None:
        """Their last connection is gone."""
        self._exchange.forget(person)

    def in_turns(self, person: NodeId, file: FileId) -> bool:
        """Whether they are given this file in turns, not by a slot."""
        return self._exchange.knows((person, file))

    def has_turn(self, person: NodeId, file: FileId) -> bool:
        return self._exchange.has_turn((person, file))

    # --- what happens --------------------------------------------------------------------------------

    def gained(self, file: FileId, pieces: Iterable[int], now: float) -> None:
        """We verified pieces of a file that we fetch, and told of them."""
        self._exchange.gained(file, pieces, now)
        self.tell(now)

    def has(self, person: NodeId, file: FileId, pieces: Iterable[int], now: float) -> None:
        """They say which pieces they hold."""
        self._exchange.has((person, file), pieces)
        if (showing := self._showings.get(file)) is not None:
            showing.has(person, pieces)
            self._stirred.add(file)
            self.tell(now)

    def gave(self, person: NodeId, size: int) -> None:
        """They gave us verified bytes."""
        self._exchange.gave(person, size)

    def asks(self, person: NodeId, file: FileId, first: int, count: int, now: float) -> bool:
        """They ask for pieces of a file that is given in turns. Whether they may have them."""
        allowed = self._exchange.asks((person, file), first, count, now)
        self.tell(now)
        return allowed

    def sent(self, person: NodeId, file: FileId, size: int, now: float) -> None:
        """So many bytes went to them."""
        self._exchange.sent((person, file), size, now)
        self.tell(now)

    def sent_piece(self, person: NodeId, file: FileId, piece: int, now: float) -> None:
        """The last of a piece went to them."""
        if (showing := self._showings.get(file)) is not None:
            showing.gave(person, piece, now)
            self._stirred.add(file)
            self.tell(now)

    def answered(self, person: NodeId, now: float) -> None:
        """Everything that they asked for is answered."""
        self._exchange.answered(person, now)
        self.tell(now)

    def pass_time(self, now: float) -> None:
        self._exchange.pass_time(now)
        self.tell(now)

    def next_timer(self) -> float:
        """When to call `pass_time` even if nothing happens; infinity for never."""
        return self._exchange.next_timer()

    # --- telling -------------------------------------------------------------------------------------

    def slots_moved(self) -> None:
        """Others than before hold slots."""
        for file, showing in self._showings.items():
            if self._able.get(file) != frozenset(filter(self._holds_slot, showing)):
                self._stirred.add(file)

    def tell(self, now: float) -> None:
        """Say what there is to say."""
        for (person, file), grants in self._exchange.take_news().items():
            for pieces in grants:
                self._tell(person, file, Turn(file=file, pieces=pieces))
        while self._stirred:
            self._show(self._stirred.pop())

    def _show(self, file: FileId) -> None:
        showing = self._showings[file]
        self._able[file] = frozenset(filter(self._holds_slot, showing))
        for person, shown in showing.show(self._able[file].__contains__).items():
            for first in range(0, len(shown), HAVES_PER_MESSAGE):
                self._tell(
                    person, file, Have(file=file, pieces=tuple(shown[first : first + HAVES_PER_MESSAGE]))
                )
