"""Serving real channels: what a downloader sees of us."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
import trio
import trio.testing

from client.engine.bandwidth import Bandwidth, Clock
from client.engine.network.peers import PeerLink
from client.engine.settings import GROUPS, Groups, Settings
from client.engine.shares.listing import ListingPage
from client.engine.uploads.patrons import Patrons
from client.engine.uploads.slots import TURN_MAX_S
from client.engine.uploads.uploads import Uploads
from client.engine.uploads.visit import HASHING_PATIENCE_S
from p2pshare.errors import BadMessage, CloseCode, LocalTrouble, PeerFault, Reason, Refused
from p2pshare.hashing import FileHasher, FileId, PieceHashes, hash_piece, piece_count
from p2pshare.identity import format_node_id
from p2pshare.limits import DATA_BYTES_MAX, FETCHES_OPEN_MAX, KIB, MIB, OPEN_FILES_MAX, REQUESTS_OPEN_MAX
from p2pshare.ranges import RangeSet
from p2pshare.transport.answers import Answers
from p2pshare.transport.channel import Channel
from p2pshare.wire.fields import Folder
from p2pshare.wire.peer import (
    AskHashes,
    Browse,
    Data,
    DropFile,
    Fetch,
    FileOpened,
    Hashes,
    Have,
    Listing,
    OpenFile,
    QueueMoved,
    Turn,
)
from tests.channel_pair import channel_pair, endpoint

UPLOADER = endpoint(0)
UNIX_START = 1_800_000_000.0
PIECE = 64 * KIB
pytestmark = pytest.mark.timeout(20)


class FileInMemory:
    """A file to serve; `pieces` limits what is held, `gate` holds reads up."""

    def __init__(self, name: str, data: bytes, pieces: RangeSet | None = None) -> None:
        hasher = FileHasher(len(data))
        hasher.update(data)
        hashed: PieceHashes = hasher.finish()
        self.name, self.file, self.size = name, hashed.file_id, len(data)
        self.piece_size, self.hashes = hashed.piece_size, hashed.hashes
        self.data = data
        self.held = pieces
        self.broken: Refused | LocalTrouble | None = None
        self.gate = trio.Event()
        self.gate.set()
        self.reads: list[int] = []  # offsets
        self.users = 0

    @property
    def pieces(self) -> bytes | None:
        return None if self.held is None else self.held.to_bitmap(piece_count(self.size, self.piece_size))

    def has(self, piece: int) -> bool:
        return self.held is None or piece in self.held

    async def read_into(self, offset: int, into: memoryview) -> None:
        self.reads.append(offset)
        await self.gate.wait()
        if self.broken is not None:
            raise self.broken
        assert offset + len(into) <= self.size
        into[:] = self.data[offset : offset + len(into)]

    async def aclose(self) -> None:
        self.users -= 1
        await trio.lowlevel.checkpoint()


class ShelfInMemory:
    """Serves what is put on it; offers are numbered in order, and take `hashing_s` to be hashed once."""

    def __init__(self) -> None:
        self.files: list[FileInMemory] = []
        self.hashing_s = 0.0

    async def hold(self, file: FileId) -> FileInMemory | None:
        await trio.lowlevel.checkpoint()
        return next((self._taken(each) for each in self.files if each.file == file), None)

    async def hold_offer(self, offer: int) -> FileInMemory | None:
        await trio.sleep(self.hashing_s)
        return self._taken(self.files[offer]) if offer < len(self.files) else None

    async def listing(self, folder: str, cursor: bytes) -> ListingPage | None:
        await trio.lowlevel.checkpoint()
        if cursor:
            raise BadMessage("The cursor is none of ours.")
        if folder:
            return None
        music = Folder(name="Music", files=1, bytes=2)
        return ListingPage(folders=(music,), offers=(), files=1, bytes=2, cursor=b"")

    def _taken(self, file: FileInMemory) -> FileInMemory:
        file.users += 1
        return file


class World:
    """An uploader, and people who connect to it."""

    def __init__(self, uploads: Uploads, shelf: ShelfInMemory) -> None:
        self.uploads = uploads
        self.shelf = shelf

    def put(self, name: str, size: int, pieces: RangeSet | None = None) -> FileInMemory:
        file = FileInMemory(name, random.Random(name).randbytes(size), pieces)
        self.shelf.files.append(file)
        return file

    @asynccontextmanager
    async def visitor(self, number: int) -> AsyncIterator[Visitor]:
        async with channel_pair(endpoint(number), UPLOADER) as (theirs, ours), trio.open_nursery() as nursery:
            visitor = Visitor(theirs)
            link = PeerLink(ours, f"person {number}", "")

            async def attend() -> None:
                try:
                    await self.uploads.attend(link, ours.incoming())
                except PeerFault as fault:
                    visitor.fault = fault
                    await ours.aclose(fault.code, fault.text)
                visitor.left.set()

            nursery.start_soon(attend)
            nursery.start_soon(visitor.listen)
            yield visitor
            await theirs.aclose()
            await visitor.left.wait()
            nursery.cancel_scope.cancel()


class Visitor:
    """Somebody who downloads from us."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.notices: list[QueueMoved | Have | Turn] = []
        self.fault: PeerFault | None = None
        self.left = trio.Event()

    async def listen(self) -> None:
        async for incoming in self.channel.incoming():
            assert isinstance(incoming.message, QueueMoved | Have | Turn)
            self.notices.append(incoming.message)

    async def open(self, file: FileInMemory) -> FileOpened:
        opened = await self.channel.ask(OpenFile(request=self.channel.next_request(), file=file.file))
        assert isinstance(opened, FileOpened)
        return opened

    def fetching(self, file: FileInMemory, first: int, count: int = 1) -> Fetch:
        return Fetch(request=self.channel.next_request(), file=file.file, first=first, count=count)

    async def fetch(self, file: FileInMemory, first: int, count: int = 1) -> bytes:
        async with self.channel.request(self.fetching(file, first, count)) as answers:
            return await received(answers, file, first)

    async def drop(self, file: FileInMemory) -> None:
        await self.channel.send(DropFile(file=file.file))

    @property
    def position(self) -> int | None:
        return next((each.position for each in reversed(self.notices) if isinstance(each, QueueMoved)), None)


async def received(answers: Answers, file: FileInMemory, first: int) -> bytes:
    """The data of a request; every part must follow the one before it."""
    got = bytearray()
    async for answer in answers:
        data = answer.message
        assert isinstance(data, Data) and answer.payload is not None
        assert data.piece * file.piece_size + data.offset == first * file.piece_size + len(got)
        assert data.offset + data.size <= file.piece_size
        got += answer.payload
    return bytes(got)


@asynccontextmanager
async def world(slots: int = 2, bytes_per_s: int = 0, groups: Groups = GROUPS) -> AsyncIterator[World]:
    shelf = ShelfInMemory()
    settings = Settings(upload_slots=slots, upload_rate=bytes_per_s // KIB, groups=groups)
    began = trio.current_time()
    clock = Clock(
        lambda: UNIX_START + trio.current_time() - began,  # it is morning: there is time until midnight
        lambda at: datetime.fromtimestamp(at, UTC).replace(tzinfo=None),
    )
    patrons = Patrons(UPLOADER.identity, settings, clock)
    uploads = Uploads(shelf, patrons, Bandwidth(settings, clock, patrons.group), unix_now=lambda: 1_000.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(uploads.run)
        yield World(uploads, shelf)
        nursery.cancel_scope.cancel()
    assert all(file.users == 0 for file in shelf.files), "a file was left open"


async def refused(ask: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as error:
        await ask()  # type: ignore[misc]
    return error.value


# --- the plain way ---------------------------------------------------------------------------------------


async def test_a_file_is_opened_checked_and_fetched() -> None:
    async with world() as here, here.visitor(1) as alice:
        song = here.put("song", 9 * MIB + 5)
        opened = await alice.open(song)
        assert (opened.size, opened.whole, opened.position, opened.wait_s) == (song.size, True, 0, 0)
        count = piece_count(opened.size, opened.piece_size)
        question = AskHashes(request=alice.channel.next_request(), file=song.file, first=1, count=count - 1)
        hashes = await alice.channel.ask(question)
        assert isinstance(hashes, Hashes)
        assert hashes.hashes == song.hashes[32:]
        data = await alice.fetch(song, 0, count)
        assert data == song.data
        assert hash_piece(await alice.fetch(song, count - 1)) == hashes.hashes[-32:]


async def test_a_file_is_opened_by_the_number_of_its_offer() -> None:
    async with world() as here, here.visitor(1) as alice:
        song = here.put("song", PIECE)
        opened = await alice.channel.ask(OpenFile(request=alice.channel.next_request(), file=None, offer=0))
        assert opened.file == song.file


async def test_a_folder_is_listed() -> None:
    async with world() as here, here.visitor(1) as alice:
        page = await alice.channel.ask(Browse(request=alice.channel.next_request(), folder=""))
        assert isinstance(page, Listing) and page.folders[0].name == "Music"
        none = Browse(request=alice.channel.next_request(), folder="Secrets")
        assert (await refused(lambda: alice.channel.ask(none))).reason is Reason.NO_SUCH_FILE


async def test_pieces_larger_than_a_slice_are_sent_whole() -> None:
    async with world() as here, here.visitor(1) as alice:
        film = here.put("film", 19 * MIB)
        film.piece_size = 8 * MIB  # as a file of 16 GiB has
        await alice.open(film)
        assert await alice.fetch(film, 1, 2) == film.data[8 * MIB :]


# --- what is refused -------------------------------------------------------------------------------------


async def test_what_is_not_here_is_refused() -> None:
    async with world() as here, here.visitor(1) as alice:
        song = here.put("song", 4 * PIECE, RangeSet([range(0, 2), range(3, 4)]))
        assert (await refused(lambda: alice.fetch(song, 0))).reason is Reason.NO_SUCH_FILE
        opened = await alice.open(song)
        assert opened.pieces == bytes([0b11010000])
        assert (await refused(lambda: alice.fetch(song, 1, 2))).reason is Reason.NOT_HELD
        assert (await refused(lambda: alice.fetch(song, 3, 2))).reason is Reason.NOT_HELD
        hashes = AskHashes(request=alice.channel.next_request(), file=song.file, first=0, count=5)
        assert (await refused(lambda: alice.channel.ask(hashes))).reason is Reason.NOT_HELD
        unknown = OpenFile(request=alice.channel.next_request(), file=FileId(bytes(32)))
        assert (await refused(lambda: alice.channel.ask(unknown))).reason is Reason.NO_SUCH_FILE
        assert await alice.fetch(song, 0, 2) == song.data[: 2 * PIECE], "the connection goes on"


async def test_a_file_that_changed_is_refused_and_others_are_served_on() -> None:
    async with world() as here, here.visitor(1) as alice:
        song, film = here.put("song", PIECE), here.put("film", PIECE)
        await alice.open(song)
        await alice.open(film)
        song.broken = Refused(Reason.FILE_CHANGED)
        assert (await refused(lambda: alice.fetch(song, 0))).reason is Reason.FILE_CHANGED
        assert await alice.fetch(film, 0) == film.data


async def test_a_file_that_takes_long_to_hash_is_promised_for_later(
    mock_clock: trio.testing.MockClock,
) -> None:
    async with world() as here, here.visitor(1) as alice, trio.open_nursery() as nursery:
        here.put("song", PIECE)
        outcomes: list[object] = []

        async def ask() -> None:
            try:
                outcomes.append(
                    await alice.channel.ask(
                        OpenFile(request=alice.channel.next_request(), file=None, offer=0)
                    )
                )
            except Refused as refusal:
                outcomes.append(refusal)

        for hashing_s in (HASHING_PATIENCE_S - 1, HASHING_PATIENCE_S + 1):
            here.shelf.hashing_s = hashing_s
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(HASHING_PATIENCE_S - 0.5)
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(1.0)
            await trio.testing.wait_all_tasks_blocked()
    opened, refusal = outcomes
    assert isinstance(opened, FileOpened)
    assert isinstance(refusal, Refused) and refusal.reason is Reason.HASHING and refusal.retry_after_s > 0


async def test_only_so_many_files_are_open_at_a_time() -> None:
    async with world() as here, here.visitor(1) as alice:
        files = [here.put(f"song {n}", 16) for n in range(OPEN_FILES_MAX + 1)]
        for file in files[:-1]:
            await alice.open(file)
        assert (await refused(lambda: alice.open(files[-1]))).reason is Reason.TOO_MUCH
        await alice.open(files[0])  # again is fine
        await alice.drop(files[0])
        await alice.open(files[-1])


async def test_only_so_many_requests_for_data_wait_at_a_time() -> None:
    async with world() as here, here.visitor(1) as alice, trio.open_nursery() as nursery:
        song = here.put("song", 64 * PIECE)
        await alice.open(song)
        song.gate = trio.Event()
        got: list[bytes] = []

        async def fetch(piece: int) -> None:
            got.append(await alice.fetch(song, piece))

        for piece in range(FETCHES_OPEN_MAX):
            nursery.start_soon(fetch, piece)
            await trio.testing.wait_all_tasks_blocked()
        assert (await refused(lambda: alice.fetch(song, 0))).reason is Reason.TOO_MUCH
        song.gate.set()
    assert sorted(got) == sorted(song.data[piece * PIECE :][:PIECE] for piece in range(FETCHES_OPEN_MAX))
    assert song.reads == [piece * PIECE for piece in range(FETCHES_OPEN_MAX)], "in the order of asking"


async def test_a_disk_in_the_way_is_refused_with_its_sentence() -> None:
    async with world() as here, here.visitor(1) as alice:
        song = here.put("song", PIECE)
        await alice.open(song)
        song.broken = LocalTrouble("The drive reports an error.")
        refusal = await refused(lambda: alice.fetch(song, 0))
        assert (refusal.reason, refusal.text) == (Reason.FAILED, "The drive reports an error.")


async def test_a_cursor_that_is_none_of_ours_ends_the_connection() -> None:
    async with world() as here, here.visitor(1) as alice:
        await alice.channel.send(Browse(request=alice.channel.next_request(), folder="", cursor=b"evil"))
        await alice.left.wait()
        assert alice.channel.ending is not None and alice.channel.ending.code is CloseCode.BAD_MESSAGE


async def test_more_open_requests_than_allowed_end_the_connection() -> None:
    async with world() as here, here.visitor(1) as alice:
        here.shelf.hashing_s = 10.0
        for _ in range(REQUESTS_OPEN_MAX + 1):
            await alice.channel.send(OpenFile(request=alice.channel.next_request(), file=None, offer=0))
        await alice.left.wait()
        assert alice.fault is not None and alice.fault.code is CloseCode.TOO_FAST


async def test_two_requests_of_one_number_end_the_connection() -> None:
    async with world() as here, here.visitor(1) as alice:
        song = here.put("song", PIECE)
        await alice.open(song)
        song.gate = trio.Event()
        fetch = alice.fetching(song, 0)
        await alice.channel.send(fetch)
        await alice.channel.send(fetch)
        await alice.left.wait()
        assert alice.fault is not None and alice.fault.code is CloseCode.WRONG_ORDER


# --- slots -----------------------------------------------------------------------------------------------


async def test_without_a_slot_one_waits_and_is_told_when_it_comes() -> None:
    async with world(slots=1) as here, here.visitor(1) as alice, here.visitor(2) as bob:
        song = here.put("song", PIECE)
        await alice.open(song)
        opened = await bob.open(song)
        assert opened.position == 1 and opened.wait_s > 0
        assert (await refused(lambda: bob.fetch(song, 0))).reason is Reason.NO_SLOT
        await alice.drop(song)
        await trio.testing.wait_all_tasks_blocked()
        shown = Have(file=song.file, pieces=(0,))
        assert bob.notices == [QueueMoved(position=0, wait_s=0), shown]
        assert await bob.fetch(song, 0) == song.data
        assert alice.notices == []


async def test_a_turn_that_is_over_ends_at_the_end_of_a_piece(mock_clock: trio.testing.MockClock) -> None:
    async with world(slots=1, bytes_per_s=100 * KIB) as here, trio.open_nursery() as nursery:
        async with here.visitor(1) as alice, here.visitor(2) as bob:
            film = here.put("film", 160 * MIB)  # pieces of 128 KiB
            await alice.open(film)
            await bob.open(film)
            got = bytearray()
            reasons: list[Reason] = []

            async def fetch() -> None:
                async with alice.channel.request(alice.fetching(film, 0, 256)) as answers:
                    try:
                        async for answer in answers:
                            got.extend(answer.payload or b"")
                    except Refused as refusal:
                        reasons.append(refusal.reason)

            nursery.start_soon(fetch)
            while not reasons:
                await trio.testing.wait_all_tasks_blocked()
                mock_clock.jump(10.0)
                assert trio.current_time() < TURN_MAX_S + 60
            assert reasons == [Reason.NO_SLOT]
            assert got and len(got) % film.piece_size == 0 and got == film.data[: len(got)]
            assert (alice.position, bob.position) == (1, 0)


async def test_who_holds_a_slot_and_fetches_nothing_makes_room(mock_clock: trio.testing.MockClock) -> None:
    async with world(slots=1) as here, here.visitor(1) as alice, here.visitor(2) as bob:
        song = here.put("song", PIECE)
        await alice.open(song)
        await alice.fetch(song, 0)
        await bob.open(song)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(60.0)
        await trio.testing.wait_all_tasks_blocked()
        assert (alice.position, bob.position) == (1, 0)


async def test_a_broken_connection_keeps_the_place_in_the_queue() -> None:
    async with world(slots=1) as here, here.visitor(1) as alice:
        song = here.put("song", PIECE)
        await alice.open(song)
        async with here.visitor(2) as bob:
            assert (await bob.open(song)).position == 1
        async with here.visitor(3) as carol:
            assert (await carol.open(song)).position == 1
            async with here.visitor(2) as bob:
                assert (await bob.open(song)).position == 1
                await trio.testing.wait_all_tasks_blocked()
                assert carol.position == 2
        assert here.uploads.serves(endpoint(2).node)
        await alice.drop(song)
        await trio.testing.wait_all_tasks_blocked()
        assert not here.uploads.serves(endpoint(1).node)


async def test_two_connections_of_a_person_share_a_slot() -> None:
    async with world(slots=1) as here, here.visitor(1) as alice, here.visitor(1) as again:
        song = here.put("song", PIECE)
        await alice.open(song)
        assert (await again.open(song)).position == 0
        await alice.drop(song)
        assert await again.fetch(song, 0) == song.data


async def test_of_two_connections_one_may_break() -> None:
    async with world(slots=1) as here, here.visitor(1) as alice, here.visitor(2) as bob:
        song = here.put("song", PIECE)
        async with here.visitor(1) as again:
            await again.open(song)
            await alice.open(song)
            await bob.open(song)
        assert await alice.fetch(song, 0) == song.data
        assert bob.position is None


# --- the order of things ---------------------------------------------------------------------------------


async def test_a_cancelled_request_is_read_no_further_and_its_number_is_free() -> None:
    async with world() as here, here.visitor(1) as alice:
        film = here.put("film", 64 * MIB)
        await alice.open(film)
        async with alice.channel.request(alice.fetching(film, 0, 256)) as answers:
            async for _ in answers:
                break
        await trio.testing.wait_all_tasks_blocked()
        assert len(film.reads) * DATA_BYTES_MAX < film.size // 2
        assert await alice.fetch(film, 7) == film.data[7 * film.piece_size :][: film.piece_size]


async def test_a_request_that_waits_is_cancelled_at_once() -> None:
    async with world() as here, here.visitor(1) as alice, trio.open_nursery() as nursery:
        song = here.put("song", 4 * PIECE)
        await alice.open(song)
        song.gate = trio.Event()
        nursery.start_soon(alice.fetch, song, 0)
        await trio.testing.wait_all_tasks_blocked()
        with trio.CancelScope() as scope:

            async def give_up() -> None:
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()

            nursery.start_soon(give_up)
            await alice.fetch(song, 1)
        await trio.testing.wait_all_tasks_blocked()
        assert here.uploads.views()[0].files == ("song",)
        song.gate.set()
        assert await alice.fetch(song, 2) == song.data[2 * PIECE :][:PIECE]
    assert song.reads == [0, 2 * PIECE]


async def test_a_small_file_does_not_wait_behind_a_large_one() -> None:
    async with world() as here, here.visitor(1) as alice, trio.open_nursery() as nursery:
        film, song = here.put("film", 160 * MIB), here.put("song", PIECE)
        await alice.open(film)
        await alice.open(song)
        film.gate = trio.Event()
        nursery.start_soon(alice.fetch, film, 0, 256)
        await trio.testing.wait_all_tasks_blocked()
        film.gate.set()
        assert await alice.fetch(song, 0) == song.data
        assert len(film.reads) * DATA_BYTES_MAX < 256 * film.piece_size, "more of the film came first"


async def test_a_dropped_file_is_closed_and_what_was_asked_of_it_ends() -> None:
    async with world() as here, here.visitor(1) as alice, trio.open_nursery() as nursery:
        song = here.put("song", 2 * PIECE)
        await alice.open(song)
        film = here.put("film", PIECE)
        await alice.open(film)
        film.gate = trio.Event()
        nursery.start_soon(alice.fetch, film, 0)
        await trio.testing.wait_all_tasks_blocked()
        reasons: list[Reason] = []

        async def fetch() -> None:
            reasons.append((await refused(lambda: alice.fetch(song, 0))).reason)

        nursery.start_soon(fetch)
        await trio.testing.wait_all_tasks_blocked()
        await alice.drop(song)
        await trio.testing.wait_all_tasks_blocked()
        assert song.users == 0
        film.gate.set()
        await trio.testing.wait_all_tasks_blocked()
        assert reasons == [Reason.CANCELLED]


async def test_a_rate_limit_holds_over_all_uploads(mock_clock: trio.testing.MockClock) -> None:
    async with world(bytes_per_s=256 * KIB) as here, here.visitor(1) as alice, here.visitor(2) as bob:
        song = here.put("song", 8 * PIECE)
        await alice.open(song)
        await bob.open(song)
        done: list[float] = []

        async def fetch(visitor: Visitor) -> None:
            await visitor.fetch(song, 0, 8)
            done.append(trio.current_time())

        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fetch, alice)
            nursery.start_soon(fetch, bob)
            while len(done) < 2:
                await trio.testing.wait_all_tasks_blocked()
                mock_clock.jump(0.0625)
        assert 3.5 <= done[1] - start <= 4.2, "1 MiB at 256 KiB/s"
        assert done[1] - done[0] < 0.5, "shared evenly"


# --- news and numbers ------------------------------------------------------------------------------------


async def test_new_pieces_are_told_together_to_who_has_the_file_open(
    mock_clock: trio.testing.MockClock,
) -> None:
    async with world() as here, here.visitor(1) as alice, here.visitor(2) as bob:
        song = here.put("song", 8 * PIECE, RangeSet())
        await alice.open(song)
        for piece in (3, 5):
            assert song.held is not None
            song.held.add(piece, piece + 1)
            here.uploads.tell_have(song.file, piece)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(1.0)
        await trio.testing.wait_all_tasks_blocked()
        assert alice.notices[0] == Have(file=song.file, pieces=(3, 5))
        assert isinstance(alice.notices[1], Turn)
        assert bob.notices == []
        assert await alice.fetch(song, 5) == song.data[5 * PIECE :][:PIECE]


async def test_a_finished_download_is_served_on_from_its_new_place() -> None:
    async with world() as here, here.visitor(1) as alice:
        growing = here.put("song", 4 * PIECE, RangeSet([range(0, 1)]))
        await alice.open(growing)
        here.shelf.files.clear()
        whole = here.put("song", 4 * PIECE)
        await here.uploads.renew(growing.file)
        assert growing.users == 0
        assert await alice.fetch(growing, 0, 4) == growing.data
        here.shelf.files.clear()
        await here.uploads.renew(growing.file)
        assert whole.users == 0
        assert (await refused(lambda: alice.fetch(growing, 0))).reason is Reason.NO_SUCH_FILE
        assert not here.uploads.serves(endpoint(1).node)


async def test_the_views_and_the_statistics_tell_who_got_what() -> None:
    async with world(slots=1) as here, here.visitor(1) as alice, here.visitor(2) as bob:
        song = here.put("song", 2 * PIECE)
        await bob.open(song)
        await bob.drop(song)
        await alice.open(song)
        await bob.open(song)
        await alice.fetch(song, 0, 2)
        first, second = here.uploads.views()
        assert (first.nick, first.position, first.sent_bytes) == ("person 1", 0, 2 * PIECE)
        assert first.person == format_node_id(endpoint(1).node)
        assert (second.nick, second.position, second.files) == ("person 2", 1, ("song",))
        assert second.wait_s > 0 and second.connected_at == 1_000.0
        (sent,) = here.uploads.take_sent()
        assert (sent.person, sent.nick, sent.file) == (endpoint(1).node, "person 1", song.file)
        assert sent.bytes == 2 * PIECE
        assert here.uploads.take_sent() == ()


async def test_somebody_who_vanishes_in_the_middle_leaves_nothing_behind() -> None:
    async with world() as here:
        film = here.put("film", 64 * MIB)
        async with here.visitor(1) as alice:
            await alice.open(film)
            await alice.channel.send(alice.fetching(film, 0, 256))
            while not film.reads:
                await trio.lowlevel.checkpoint()
            await alice.channel.aclose()
        assert here.uploads.views() == ()
        assert film.users == 0
        assert len(film.reads) * DATA_BYTES_MAX < film.size // 2
