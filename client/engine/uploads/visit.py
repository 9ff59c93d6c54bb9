"""One connection of a person who wants our files: what they have open, and the answers to what they ask."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Container
from functools import partial
from typing import TYPE_CHECKING

import trio

from client.engine.held import Held
from client.engine.uploads.bundles import Bundles
from client.engine.uploads.sending import Sending
from p2pshare import limits
from p2pshare.errors import CloseCode, Disconnected, LocalTrouble, PeerFault, Reason, Refused
from p2pshare.hashing import FileId, piece_count
from p2pshare.identity import NodeId
from p2pshare.transport.background import background
from p2pshare.transport.channel import Channel
from p2pshare.wire.peer import (
    AskHashes,
    AskOthers,
    Browse,
    DropFile,
    Fetch,
    FetchFiles,
    FileOpened,
    Hashes,
    Have,
    Listing,
    OpenFile,
    Others,
    SignReceipt,
)
from p2pshare.wire.schema import Message
from p2pshare.wire.session import Cancel
from p2pshare.wire.session import Refused as RefusedMessage

if TYPE_CHECKING:
    from client.engine.uploads.uploads import Shelf, Uploads

HASHING_PATIENCE_S = 12.0  # whoever opens a file that is not hashed yet simply waits for so long
HASHING_RETRY_S = 30  # then they are told to ask again
NO_FILE = FileId(bytes(limits.KEY_BYTES))  # they hold their slot by a file open on another connection
CROWDED_RETRY_S = 5  # for somebody over a limit of open files or requests


class Visit:
    """Made for each connection by `Uploads`. `send` runs beside it as long as the connection lives."""

    def __init__(
        self, uploads: Uploads, channel: Channel, nursery: trio.Nursery, fetching: Container[FileId] = ()
    ) -> None:
        """Answers that take time are worked out in `nursery`. `fetching`: what we fetch from them."""
        self.channel = channel
        self._fetching = fetching
        self.files: dict[FileId, Held] = {}
        self._uploads = uploads
        self._nursery = nursery
        self._answering = 0
        self._named_at: dict[FileId, float] = {}  # when they were told of others, by open file
        valve, preview_valve = uploads.bandwidth.upload(self.person), uploads.bandwidth.preview(self.person)
        self._sending = Sending(channel, self, valve, preview_valve)
        self._bundles = Bundles(channel, self, lambda: self._shelf, valve)

    @property
    def person(self) -> NodeId:
        return self.channel.peer

    @property
    def previews(self) -> int:
        """Previews under way."""
        return self._sending.previews

    @property
    def waits_for_data(self) -> bool:
        return self._sending.open > 0 or self._bundles.open > 0

    async def send(self) -> None:
        """Send what is fetched, until the connection ends."""
        try:
            async with background() as nursery:
                nursery.start_soon(self._bundles.run)
                await self._sending.run()
        except Disconnected:
            pass  # whoever listens to the channel finds out, too

    async def aclose(self) -> None:
        """Close the files."""
        files, self.files = self.files, {}
        for held in files.values():
            await held.aclose()

    def tell_have(self, file: FileId, pieces: tuple[int, ...]) -> None:
        """We hold more pieces of a file that they may have open, or we fetch from them."""
        if file in self.files or file in self._fetching:
            for at in range(0, len(pieces), limits.HAVES_PER_MESSAGE):
                self.channel.post(Have(file=file, pieces=pieces[at : at + limits.HAVES_PER_MESSAGE]))

    async def renew(self, file: FileId) -> None:
        """Another copy of a file is to be served from now on, or none any more."""
        try:
            held = await self._shelf.hold(file)
        except Refused:
            held = None
        before = self.files.pop(file, None)
        if before is None:  # they dropped it meanwhile
            before = held
        elif held is not None:
            self.files[file] = held
        else:
            self._uploads.dropped(self.person, file)
        if before is not None:
            await before.aclose()

    # --- what they say -------------------------------------------------------------------------------

    def hear(self, message: Message) -> None:
        """Begin to answer a message. Raises `PeerFault`.

        Never waits: if both sides waited for the other one to read, neither would.
        """
        if isinstance(message, Fetch):
            try:
                self._fetch(message)
            except Refused as refusal:
                self._refuse(message.request, refusal)
        elif isinstance(message, FetchFiles):
            try:
                self._bundles.add(message)
                self._uploads.busy(self.person)
            except Refused as refusal:
                self._refuse(message.request, refusal)
        elif isinstance(message, Cancel):
            self._sending.cancel(message.request)
            self._bundles.cancel(message.request)
        elif isinstance(message, DropFile):
            if (held := self.files.pop(message.file, None)) is not None:
                self._named_at.pop(message.file, None)
                self._uploads.dropped(self.person, message.file)
                self._nursery.start_soon(held.aclose)
        elif isinstance(message, OpenFile):
            self._begin(message.request, partial(self._open, message))
        elif isinstance(message, AskHashes):
            self._begin(message.request, partial(self._tell_hashes, message))
        elif isinstance(message, Browse):
            self._begin(message.request, partial(self._list, message))
        elif isinstance(message, Have):
            if message.file in self.files:
                self._uploads.swarm.has(self.person, message.file, message.pieces, trio.current_time())
        elif isinstance(message, AskOthers):
            self._begin(message.request, partial(self._name_others, message))
        elif isinstance(message, SignReceipt):
            self._begin(message.request, partial(self._countersign, message))
        else:
            raise PeerFault(CloseCode.WRONG_ORDER, f"{message.NAME} means nothing to an uploader.")

    def _begin(self, request: int, answer: Callable[[], Awaitable[None]]) -> None:
        if self._answering >= limits.REQUESTS_OPEN_MAX:
            raise PeerFault(CloseCode.TOO_FAST, "More requests at the same time than allowed.")
        self._answering += 1
        self._nursery.start_soon(self._answer, request, answer)

    async def _answer(self, request: int, answer: Callable[[], Awaitable[None]]) -> None:
        try:
            await answer()
        except Refused as refusal:
            self._refuse(request, refusal)
        except LocalTrouble as trouble:
            self._refuse(request, Refused(Reason.FAILED, str(trouble)))
        except PeerFault as fault:
            await self.channel.aclose(fault.code, fault.text)
        except Disconnected:
            pass
        finally:
            self._answering -= 1

    def _refuse(self, request: int, refusal: Refused) -> None:
        text, after_s = refusal.text, refusal.retry_after_s
        self.channel.post(
            RefusedMessage(request=request, reason=refusal.reason, text=text, retry_after_s=after_s)
        )

    # --- answers -------------------------------------------------------------------------------------

    async def _open(self, message: OpenFile) -> None:
        held = await self._find(message)
        if held is None:
            raise Refused(Reason.NO_SUCH_FILE)
        try:
            self._uploads.make_room_for(self, held, message.queue_ticket)
        except Refused:
            await held.aclose()
            raise
        before = self.files.get(held.file)
        self.files[held.file] = held
        if before is not None:
            await before.aclose()
        view = self._uploads.opens(self.person, held)
        place = self._uploads.place(self.person)
        await self.channel.send(
            FileOpened(
                request=message.request,
                file=held.file,
                size=held.size,
                piece_size=held.piece_size,
                pieces=view.pieces,
                position=place.position,
                wait_s=place.wait_s,
                queue_ticket=self._uploads.queue_ticket(self.person, again=True),
                turns=view.turns,
                whole=view.whole,
            )
        )
        self._uploads.tell_swarm()

    async def _find(self, message: OpenFile) -> Held | None:
        if message.file is not None:
            return await self._shelf.hold(message.file)
        with trio.move_on_after(HASHING_PATIENCE_S):
            return await self._shelf.hold_offer(message.offer)
        raise Refused(Reason.HASHING, "The file is just being hashed there.", HASHING_RETRY_S)

    async def _tell_hashes(self, message: AskHashes) -> None:
        held = self._opened(message.file, message.first, message.count)
        first, end = message.first * limits.KEY_BYTES, (message.first + message.count) * limits.KEY_BYTES
        await self.channel.send(Hashes(request=message.request, hashes=held.hashes[first:end]))

    async def _list(self, message: Browse) -> None:
        page = await self._shelf.listing(message.folder, message.cursor)
        if page is None:
            raise Refused(Reason.NO_SUCH_FILE, "There is no such folder here.")
        await self.channel.send(
            Listing(
                request=message.request,
                folders=page.folders,
                offers=page.offers,
                files=page.files,
                bytes=page.bytes,
                cursor=page.cursor,
            )
        )

    async def _name_others(self, message: AskOthers) -> None:
        if message.file not in self.files:
            raise Refused(Reason.NO_SUCH_FILE, "The file is not open here. Open it first.")
        now, last = trio.current_time(), self._named_at.get(message.file, -math.inf)
        if now < last + limits.OTHERS_PAUSE_S:
            raise Refused(Reason.TOO_MUCH, "You were told a moment ago.", limits.OTHERS_PAUSE_S)
        self._named_at[message.file] = now
        await self.channel.send(
            Others(request=message.request, some=self._uploads.others(self.person, message.file))
        )

    async def _countersign(self, message: SignReceipt) -> None:
        await self.channel.send(await self._uploads.countersign(self.person, message))

    def _fetch(self, message: Fetch) -> None:
        held = self._opened(message.file, message.first, message.count)
        turn = self._uploads.swarm.in_turns(self.person, message.file)
        looks = not turn and message.preview and not self.holds_slot()
        if not turn and not looks and not self.holds_slot():
            raise Refused(Reason.NO_SLOT)
        if not all(map(held.has, range(message.first, message.first + message.count))):
            raise Refused(Reason.NOT_HELD)
        if self._sending.open >= limits.FETCHES_OPEN_MAX:
            raise Refused(Reason.TOO_MUCH, "Too many requests for data at the same time.", CROWDED_RETRY_S)
        if turn and not self._uploads.takes_turn(self.person, message):
            raise Refused(Reason.NO_SLOT)
        if looks:
            self._uploads.begin_preview(self.person, message, held)
        self._sending.add(message, held, preview=looks, turn=turn)
        self._uploads.busy(self.person)

    @property
    def _shelf(self) -> Shelf:
        return self._uploads.shelf_for(self.person)

    def _opened(self, file: FileId, first: int, count: int) -> Held:
        """An open file that has these pieces, held or not. Raises `Refused`."""
        held = self.files.get(file)
        if held is None:
            raise Refused(Reason.NO_SUCH_FILE, "The file is not open here. Open it first.")
        pieces = piece_count(held.size, held.piece_size)
        if first + count > pieces:
            raise Refused(Reason.NOT_HELD, f"The file has {pieces} pieces.")
        return held

    # --- what `Sending` asks and tells ---------------------------------------------------------------

    def file(self, file: FileId) -> Held | None:
        return self.files.get(file)

    def holds_slot(self) -> bool:
        return self._uploads.holds_slot(self.person)

    def was_sent(self, file: FileId, size: int) -> None:
        self._uploads.was_sent(self.person, file, size)

    def was_sent_piece(self, file: FileId, piece: int) -> None:
        self._uploads.swarm.sent_piece(self.person, file, piece, trio.current_time())

    def rests(self) -> None:
        self._uploads.rests(self.person)

    def was_sent_small(self, size: int) -> None:
        """Small files that came together count for the one that holds the slot for them."""
        self._uploads.was_sent(self.person, next(iter(self.files), NO_FILE), size)
